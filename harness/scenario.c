#include "harness/scenario.h"

#include "base/duration.h"
#include "client/policy_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_NS (60 * NS_PER_S)
#define TIMEOUT_NS_MAX (7 * NS_PER_DAY) /* a client may be told to wait a day, and more */

enum { OUTPUT_BYTES_DEFAULT = 8 * 1024 * 1024 };

static bool read_texts(char ***texts, const struct json_reader *reader, const cJSON *list,
                       const char *pointer, size_t count_max)
{
    size_t count = (size_t)cJSON_GetArraySize(list);
    if (count > count_max)
        return json_wrong(reader, pointer, list, "at most %zu items", count_max);
    *texts = calloc(count + 1, sizeof **texts);
    if (*texts == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, (int)i);
        char place[JSON_POINTER_SIZE];
        if (!cJSON_IsString(item))
            return json_wrong(reader, json_pointer_item(place, pointer, i), item, "a string");
        (*texts)[i] = strdup(item->valuestring);
    }
    return true;
}

static bool read_environment(struct scenario_client *client, const struct json_reader *reader,
                             const cJSON *object, const char *pointer)
{
    size_t count = (size_t)cJSON_GetArraySize(object);
    if (count > SCENARIO_ARGUMENTS_MAX)
        return json_wrong(reader, pointer, object, "at most %d variables", SCENARIO_ARGUMENTS_MAX);
    client->environment = calloc(count + 1, sizeof *client->environment);
    if (client->environment == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    size_t used = 0;
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        char place[JSON_POINTER_SIZE];
        json_pointer_member(place, pointer, member->string);
        if (member->string[0] == '\0' || strchr(member->string, '=') != NULL)
            return json_wrong(reader, place, NULL, "a variable's name, which has no \"=\"");
        if (!cJSON_IsString(member))
            return json_wrong(reader, place, member, "a string");
        if (asprintf(&client->environment[used], "%s=%s", member->string, member->valuestring) < 0)
            return error_set_run(reader->error, reader->file, "out of memory");
        used++;
    }
    return true;
}

/* RFC 9110, 5.6.2: token. */
static bool is_header_name(const char *name)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return name[0] != '\0' && name[strspn(name, token)] == '\0';
}

static bool read_marker(struct scenario_client *client, const struct json_reader *reader,
                        const cJSON *object, const char *pointer)
{
    const char *header = NULL;
    const char *body = NULL;
    if (!json_known_members(reader, object, pointer,
                            (const char *const[]){"header", "body", "connection", NULL}) ||
        !json_read_string(reader, object, pointer, "header", &header) ||
        !json_read_string(reader, object, pointer, "body", &body) ||
        !json_read_bool(reader, object, pointer, "connection", &client->marker_is_connection))
        return false;
    if (header != NULL && !is_header_name(header)) {
        char place[JSON_POINTER_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, "header"),
                          cJSON_GetObjectItemCaseSensitive(object, "header"),
                          "the name of a header, such as \"x-call-id\"");
    }
    int count = (header != NULL) + (body != NULL) + client->marker_is_connection;
    if (count != 1 || (body != NULL && body[0] == '\0'))
        return json_wrong(reader, pointer, object,
                          "{\"header\": NAME}, {\"body\": NAME of a member of the body} or "
                          "{\"connection\": true}");
    if (header != NULL)
        client->marker_header = strdup(header);
    if (body != NULL)
        client->marker_body = strdup(body);
    return true;
}

static bool read_builtin(struct scenario_client *client, const struct json_reader *reader,
                         const cJSON *object, const char *pointer)
{
    static const char *const known[] = {"calls", "in_flight_max", "equal_messages", "policy", NULL};
    struct scenario_builtin *builtin = &client->builtin;
    const cJSON *policy = NULL;
    char place[JSON_POINTER_SIZE];
    client->is_builtin = true;
    builtin->calls = 1;
    if (!json_known_members(reader, object, pointer, known) ||
        !json_read_whole(reader, object, pointer, "calls", 1, SCENARIO_CALLS_MAX,
                         &builtin->calls) ||
        !json_read_whole(reader, object, pointer, "in_flight_max", 0, SCENARIO_CALLS_MAX,
                         &builtin->in_flight_max) ||
        !json_read_bool(reader, object, pointer, "equal_messages", &builtin->equal_messages) ||
        !json_read_object(reader, object, pointer, "policy", &policy))
        return false;
    json_pointer_member(place, pointer, "policy");
    if (policy == NULL)
        return json_wrong(reader, place, NULL, "a retry policy, such as {\"kind\": \"none\"}");
    return retry_policy_from_json(&builtin->policy, reader, policy, place);
}

static bool read_client(struct scenario_client *client, const struct json_reader *reader,
                        const cJSON *object, const char *pointer)
{
    static const char *const known[] = {"command", "directory",   "env",          "timeout", "runs",
                                        "builtin", "call_marker", "output_limit", NULL};
    const cJSON *command = NULL;
    const cJSON *environment = NULL;
    const cJSON *builtin = NULL;
    const cJSON *marker = NULL;
    const char *directory = NULL;
    char place[JSON_POINTER_SIZE];
    if (!json_known_members(reader, object, pointer, known) ||
        !json_read_array(reader, object, pointer, "command", &command) ||
        !json_read_string(reader, object, pointer, "directory", &directory) ||
        !json_read_object(reader, object, pointer, "env", &environment) ||
        !json_read_object(reader, object, pointer, "builtin", &builtin) ||
        !json_read_object(reader, object, pointer, "call_marker", &marker) ||
        !json_read_duration(reader, object, pointer, "timeout", &client->timeout_ns) ||
        !json_read_whole(reader, object, pointer, "runs", 1, SCENARIO_RUNS_MAX, &client->runs) ||
        !json_read_whole(reader, object, pointer, "output_limit", 1, INT64_C(1) << 40,
                         &client->output_bytes_max))
        return false;
    if ((command != NULL) == (builtin != NULL))
        return json_wrong(reader, pointer, object,
                          "either \"command\", the program under test, or \"builtin\"");
    if (client->timeout_ns < NS_PER_MS || client->timeout_ns > TIMEOUT_NS_MAX)
        return json_wrong(reader, json_pointer_member(place, pointer, "timeout"),
                          cJSON_GetObjectItemCaseSensitive(object, "timeout"), "1ms to 168h");
    if (directory != NULL)
        client->directory = strdup(directory);
    if (command != NULL) {
        json_pointer_member(place, pointer, "command");
        if (cJSON_GetArraySize(command) == 0)
            return json_wrong(reader, place, command, "the program and its arguments");
        if (!read_texts(&client->command, reader, command, place, SCENARIO_ARGUMENTS_MAX))
            return false;
    }
    if (environment != NULL) {
        free(client->environment);
        client->environment = NULL;
        if (!read_environment(client, reader, environment,
                              json_pointer_member(place, pointer, "env")))
            return false;
    }
    if (marker != NULL &&
        !read_marker(client, reader, marker, json_pointer_member(place, pointer, "call_marker")))
        return false;
    if (builtin != NULL && marker != NULL && client->marker_header == NULL)
        return json_wrong(reader, json_pointer_member(place, pointer, "call_marker"), marker,
                          "{\"header\": NAME}; the built-in client sends its marker as a header");
    return builtin == NULL ||
           read_builtin(client, reader, builtin, json_pointer_member(place, pointer, "builtin"));
}

static bool read_required(const struct json_reader *reader, const cJSON *root, const char *name,
                          const cJSON **object)
{
    char place[JSON_POINTER_SIZE];
    if (!json_read_object(reader, root, "", name, object))
        return false;
    return *object != NULL || json_wrong(reader, json_pointer_member(place, "", name), NULL,
                                         "an object; every scenario has \"name\", \"server\", "
                                         "\"client\" and \"expect\"");
}

static bool read_scenario(struct scenario *scenario, const struct json_reader *reader,
                          const cJSON *root)
{
    const char *name = NULL;
    const char *why = "";
    const cJSON *server = NULL;
    const cJSON *client = NULL;
    const cJSON *expect = NULL;
    if (!json_known_members(
            reader, root, "",
            (const char *const[]){"name", "why", "server", "client", "expect", NULL}) ||
        !json_read_string(reader, root, "", "name", &name) ||
        !json_read_string(reader, root, "", "why", &why) ||
        !read_required(reader, root, "server", &server) ||
        !read_required(reader, root, "client", &client) ||
        !read_required(reader, root, "expect", &expect))
        return false;
    if (name == NULL || name[0] == '\0')
        return json_wrong(reader, "/name", cJSON_GetObjectItemCaseSensitive(root, "name"),
                          "a name, a short statement of what must hold");
    scenario->name = strdup(name);
    scenario->why = strdup(why);
    return config_read(&scenario->server, reader, server, "/server") &&
           read_client(&scenario->client, reader, client, "/client") &&
           expectations_read(&scenario->expectations, reader, expect, "/expect");
}

static bool scenario_read(struct scenario *scenario, cJSON *root, const char *file,
                          struct error *error)
{
    struct json_reader reader = {.file = file, .error = error};
    *scenario = (struct scenario){
        .file = strdup(file),
        .client = {.timeout_ns = TIMEOUT_DEFAULT_NS,
                   .runs = 1,
                   .output_bytes_max = OUTPUT_BYTES_DEFAULT,
                   .environment = calloc(1, sizeof(char *))},
    };
    config_init(&scenario->server);
    bool is_read = read_scenario(scenario, &reader, root);
    cJSON_Delete(root);
    if (!is_read)
        scenario_free(scenario);
    return is_read;
}

bool scenario_load(struct scenario *scenario, const char *path, struct error *error)
{
    cJSON *root = json_load(path, error);
    return root != NULL && scenario_read(scenario, root, path, error);
}

bool scenario_parse(struct scenario *scenario, const char *text, size_t length, const char *file,
                    struct error *error)
{
    cJSON *root = json_parse(text, length, file, error);
    return root != NULL && scenario_read(scenario, root, file, error);
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        free(texts[i]);
    free(texts);
}

void scenario_free(struct scenario *scenario)
{
    free(scenario->file);
    free(scenario->name);
    free(scenario->why);
    config_free(&scenario->server);
    free_texts(scenario->client.command);
    free_texts(scenario->client.environment);
    free(scenario->client.directory);
    free(scenario->client.marker_header);
    free(scenario->client.marker_body);
    expectations_free(&scenario->expectations);
    *scenario = (struct scenario){0};
}
