/* Scenario files. */
#include "harness/scenario.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    struct scenario scenario;
    if (!scenario_parse(&scenario, (const char *)data, size, "fuzz.json", &error)) {
        assert(error.message[0] != '\0' && strncmp(error.place, "fuzz.json", 9) == 0);
        return 0;
    }
    assert(scenario.name != NULL && scenario.name[0] != '\0' && scenario.why != NULL);
    assert(scenario.client.is_builtin == (scenario.client.command == NULL));
    assert(scenario.client.environment != NULL && scenario.client.timeout_ns > 0);
    assert(scenario.client.runs >= 1 && scenario.client.runs <= SCENARIO_RUNS_MAX);
    scenario_free(&scenario);
    return 0;
}
