#include "harness/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

struct list {
    char **items;
    size_t count;
    bool failed;
};

static void set(struct list *list, const char *assignment)
{
    char *copy = strdup(assignment);
    if (copy == NULL) {
        list->failed = true;
        return;
    }
    size_t name_length = strcspn(assignment, "=") + 1;
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i], assignment, name_length) == 0) {
            free(list->items[i]);
            list->items[i] = copy;
            return;
        }
    }
    list->items[list->count++] = copy;
}

static void set_value(struct list *list, const char *name, const char *value)
{
    char *assignment = NULL;
    if (asprintf(&assignment, "%s=%s", name, value) < 0) {
        list->failed = true;
        return;
    }
    set(list, assignment);
    free(assignment);
}

const char *environment_get(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    }
    return NULL;
}

/* A proxy of the machine must not get the requests that are meant for the mock. */
static void keep_from_proxies(struct list *list, const char *name)
{
    static const char loopback[] = "127.0.0.1,localhost";
    const char *current = getenv(name);
    char *value = NULL;
    if (current == NULL || current[0] == '\0') {
        set_value(list, name, loopback);
    } else if (asprintf(&value, "%s,%s", current, loopback) < 0) {
        list->failed = true;
    } else {
        set_value(list, name, value);
        free(value);
    }
}

char **environment_for(const struct scenario *scenario, const char *base_url)
{
    enum { OWN_VARIABLES = 8 };
    size_t count = OWN_VARIABLES;
    for (char **variable = environ; *variable != NULL; variable++)
        count++;
    for (char **variable = scenario->client.environment; *variable != NULL; variable++)
        count++;
    struct list list = {.items = calloc(count + 1, sizeof(char *))};
    if (list.items == NULL)
        return NULL;
    for (char **variable = environ; *variable != NULL; variable++)
        set(&list, *variable);
    const struct config *server = &scenario->server;
    set_value(&list, "OPENAI_BASE_URL", base_url);
    set_value(&list, "OPENAI_API_KEY",
              server->api_key_count > 0 ? server->api_keys[0] : ENVIRONMENT_API_KEY);
    set_value(&list, "OPENAI_FINE_TUNED_MODEL", SCENARIO_MODEL);
    keep_from_proxies(&list, "NO_PROXY");
    keep_from_proxies(&list, "no_proxy");
    for (char **variable = scenario->client.environment; *variable != NULL; variable++)
        set(&list, *variable);
    if (!list.failed)
        return list.items;
    environment_free(list.items);
    return NULL;
}

void environment_free(char **environment)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
        free(environment[i]);
    free(environment);
}
