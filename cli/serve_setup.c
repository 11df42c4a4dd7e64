#include "cli/serve.h"

static struct config *config_of(struct serve_setup *setup)
{
    return setup->has_scenario ? &setup->scenario.server : &setup->config;
}

const struct config *serve_setup_config(const struct serve_setup *setup)
{
    return setup->has_scenario ? &setup->scenario.server : &setup->config;
}

void serve_setup_free(struct serve_setup *setup)
{
    if (setup->has_scenario)
        scenario_free(&setup->scenario);
    config_free(&setup->config);
    *setup = (struct serve_setup){0};
}

static bool load_file(struct serve_setup *setup, const struct serve_options *options,
                      struct error *error)
{
    if (options->scenario_file != NULL) {
        setup->has_scenario = scenario_load(&setup->scenario, options->scenario_file, error);
        return setup->has_scenario;
    }
    if (options->config_file == NULL)
        return true;
    cJSON *root = json_load(options->config_file, error);
    if (root == NULL)
        return false;
    struct json_reader reader = {.file = options->config_file, .error = error};
    bool is_read = config_read(&setup->config, &reader, root, "");
    cJSON_Delete(root);
    return is_read;
}

static bool add_command_line(struct serve_setup *setup, const struct serve_options *options,
                             struct error *error)
{
    struct config *config = config_of(setup);
    if (options->tier != NULL)
        config->rules.tier = options->tier;
    for (size_t i = 0; i < options->api_key_count; i++) {
        if (!config_add_api_key(config, options->api_keys[i], error))
            return false;
    }
    return true;
}

bool serve_setup_load(struct serve_setup *setup, const struct serve_options *options,
                      struct error *error)
{
    *setup = (struct serve_setup){0};
    config_init(&setup->config);
    if (load_file(setup, options, error) && add_command_line(setup, options, error))
        return true;
    serve_setup_free(setup);
    return false;
}
