/* Input files of batches. */
#include "base/json.h"
#include "mockserver/batch_work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct batch *batch)
{
    size_t output_end = 0;
    size_t error_end = 0;
    for (size_t i = 0; i < batch->line_count; i++) {
        const struct batch_line *line = &batch->lines[i];
        /* Each request leaves one line, in one of the two. */
        assert((line->output_end > output_end) != (line->error_end > error_end));
        bool is_good = line->output_end > output_end;
        const char *text = is_good ? batch->output + output_end : batch->errors + error_end;
        size_t length = is_good ? line->output_end - output_end : line->error_end - error_end;
        assert(text[length - 1] == '\n' && memchr(text, '\n', length) == text + length - 1);
        struct error error = {0};
        cJSON *root = json_parse(text, length, "line", &error);
        assert(root != NULL);
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(root, "custom_id");
        assert(cJSON_IsString(id));
        cJSON_Delete(root);
        output_end = line->output_end;
        error_end = line->error_end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const endpoints[] = {"/v1/chat/completions", "/v1/embeddings",
                                            "/v1/responses", "/v1/moderations"};
    if (size == 0)
        return 0;
    struct config config;
    struct api api;
    config_init(&config);
    assert(api_init(&api, &config, 1, 0));
    struct stored_file input = {.length = size - 1};
    input.content = malloc(size);
    assert(input.content != NULL);
    memcpy(input.content, data + 1, size - 1);
    struct batch batch = {.cancelled_ns = -1};
    strcpy(batch.endpoint, endpoints[data[0] % 4]);
    assert(batch_work(&batch, &api, &input, 7));
    check_lines(&batch);
    assert(batch.error.code[0] != '\0' || batch.line_count > 0);
    batch_free(&batch);
    free(input.content);
    api_free(&api);
    config_free(&config);
    return 0;
}
