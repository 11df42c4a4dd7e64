/* replay: a main for a fuzz target that feeds it files, so that every compiler and every build
 * runs what fuzzing has found.
 *
 *     replay_json tests/fuzz/corpus/json       all files of a folder, by name
 *     replay_json crash-0123                   one file
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_file(const char *path)
{
    FILE *stream = fopen(path, "rb");
    struct stat status;
    if (stream == NULL || fstat(fileno(stream), &status) != 0) {
        perror(path);
        return false;
    }
    size_t size = (size_t)status.st_size;
    /* Exactly as large as the input, so that a sanitizer sees one byte too far. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    bool read = data != NULL && fread(data, 1, size, stream) == size;
    fclose(stream);
    if (read)
        LLVMFuzzerTestOneInput(data, size);
    else
        perror(path);
    free(data);
    return read;
}

static bool replay_folder(const char *path, size_t *count)
{
    struct dirent **entries;
    int found = scandir(path, &entries, NULL, alphasort);
    if (found < 0) {
        perror(path);
        return false;
    }
    bool all_read = true;
    for (int i = 0; i < found; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            all_read = replay_file(file) && all_read;
            ++*count;
        }
        free(entries[i]);
    }
    free(entries);
    return all_read;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    bool all_read = argc > 1;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode)) {
            all_read = replay_folder(argv[i], &count) && all_read;
        } else {
            all_read = replay_file(argv[i]) && all_read;
            count++;
        }
    }
    printf("%zu inputs\n", count);
    /* An empty corpus tests nothing. */
    return all_read && count > 0 ? 0 : 1;
}
