#include "cli/serve.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool serve_recording_open(struct serve_recording *recording, const struct serve_options *options,
                          const char *upstream_key, struct error *error)
{
    *recording = (struct serve_recording){.file = options->record_file};
    if (recording->file == NULL)
        return true;
    recording->recorder = recorder_new();
    if (recording->recorder == NULL)
        return error_set_run(error, "--record", "out of memory");
    for (size_t i = 0; i < options->api_key_count; i++)
        recorder_hide(recording->recorder, options->api_keys[i]);
    if (upstream_key != NULL)
        recorder_hide(recording->recorder, upstream_key);
    return serve_recording_write(recording, error); /* a place that cannot be written is told now */
}

/* Beside its place and renamed: what is there is whole. */
bool serve_recording_write(struct serve_recording *recording, struct error *error)
{
    char beside[4096];
    if (recording->file == NULL)
        return true;
    if ((size_t)snprintf(beside, sizeof beside, "%s.part", recording->file) >= sizeof beside)
        return error_set(error, recording->file, "the name is too long");
    FILE *stream = fopen(beside, "we");
    bool is_written = stream != NULL && recorder_write(recording->recorder, stream);
    if (stream != NULL)
        is_written &= fclose(stream) == 0;
    if (is_written && rename(beside, recording->file) == 0)
        return true;
    error_set_run(error, recording->file, "%s", strerror(errno));
    unlink(beside);
    return false;
}

void serve_recording_free(struct serve_recording *recording)
{
    recorder_free(recording->recorder);
    *recording = (struct serve_recording){0};
}
