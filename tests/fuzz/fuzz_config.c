/* The server's set-up: `toomany serve --config`. */
#include "mockserver/config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    struct json_reader reader = {.file = "fuzz.json", .error = &error};
    cJSON *root = json_parse((const char *)data, size, "fuzz.json", &error);
    if (root == NULL)
        return 0;
    struct config config;
    config_init(&config);
    if (config_read(&config, &reader, root, "")) {
        (void)config_can_throttle(&config);
        assert(config.script.step_count <= SCRIPT_STEPS_MAX);
        for (size_t i = 0; i < config.quotas.count; i++) {
            for (int dimension = 0; dimension < QUOTA_DIMENSION_COUNT; dimension++) {
                int64_t limit = config.quotas.items[i].limits.limit[dimension];
                assert(limit == QUOTA_NOT_SAID || limit == QUOTA_UNLIMITED ||
                       (limit >= 0 && limit <= QUOTA_LIMIT_MAX));
            }
        }
    } else {
        assert(error.message[0] != '\0');
    }
    config_free(&config);
    cJSON_Delete(root);
    return 0;
}
