/* POST /v1/embeddings: vectors of length 1 that depend on the text and the model alone, so that
 * equal texts have equal vectors. */
#include "base/digest.h"
#include "base/random.h"
#include "mockserver/api.h"
#include "mockserver/base64.h"
#include "mockserver/endpoint.h"
#include "mockserver/token_estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUTS_MAX = 2048, /* OpenAI's own bound */
    DIMENSIONS_MAX = 3072,
    DIMENSIONS_SMALL = 1536,
    BYTES_MAX = 64 * 1024 * 1024, /* of vectors in one answer */
};

static const cJSON *input_of(const struct endpoint_call *call)
{
    return cJSON_GetObjectItemCaseSensitive(call->root, "input");
}

static int64_t dimensions_of_model(const char *model)
{
    return strstr(model, "3-large") != NULL ? DIMENSIONS_MAX : DIMENSIONS_SMALL;
}

static bool is_one_input(const cJSON *input)
{
    return !cJSON_IsArray(input) || cJSON_IsNumber(input->child);
}

static bool is_input(const cJSON *one)
{
    return (cJSON_IsString(one) && one->valuestring[0] != '\0') ||
           (cJSON_IsArray(one) && cJSON_IsNumber(one->child));
}

static int64_t tokens_of(struct endpoint_call *call, const cJSON *one)
{
    return cJSON_IsString(one) ? endpoint_text_tokens(call, one->valuestring)
                               : cJSON_GetArraySize(one);
}

static bool wants_base64(const struct endpoint_call *call)
{
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(call->root, "encoding_format");
    return cJSON_IsString(format) && strcmp(format->valuestring, "base64") == 0;
}

static bool is_said(const cJSON *item)
{
    return item != NULL && !cJSON_IsNull(item);
}

static bool check_format(struct endpoint_call *call)
{
    static const char *const formats[] = {"float", "base64", NULL};
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(call->root, "encoding_format");
    return !is_said(format) || endpoint_check_word(call, format, "encoding_format", formats);
}

/* SciPhi-AI/R2R#768 */
static bool check_dimensions(struct endpoint_call *call)
{
    if (strcmp(call->model, "text-embedding-ada-002") != 0 ||
        !is_said(cJSON_GetObjectItemCaseSensitive(call->root, "dimensions")))
        return true;
    return endpoint_refuse(call->answer, 400, "This model does not support specifying dimensions.",
                           NULL, NULL);
}

static bool refuse_input(struct endpoint_call *call)
{
    return endpoint_refuse(call->answer, 400,
                           "'$.input' is invalid. Please check the API reference: "
                           "https://platform.openai.com/docs/api-reference.",
                           NULL, NULL);
}

bool endpoint_embeddings_read(struct endpoint_call *call)
{
    if (!endpoint_read_body(call, NULL))
        return false;
    const cJSON *input = input_of(call);
    if (input == NULL)
        return endpoint_refuse_missing(call, "input");
    int64_t dimensions = dimensions_of_model(call->model);
    if (!endpoint_read_whole(call, "dimensions", 1, dimensions, &dimensions) ||
        !check_dimensions(call) || !check_format(call))
        return false;
    if (is_one_input(input)) {
        call->tokens = tokens_of(call, input);
        return is_input(input) || refuse_input(call);
    }
    int count = cJSON_GetArraySize(input);
    if (count == 0 || count > INPUTS_MAX)
        return refuse_input(call);
    if (count * dimensions * (int64_t)sizeof(float) * 3 > BYTES_MAX && !wants_base64(call))
        return endpoint_refuse(call->answer, 400,
                               "The answer would be too large for this mock server: send fewer "
                               "inputs, ask for fewer dimensions, or for base64.",
                               "invalid_value", "input");
    const cJSON *one;
    cJSON_ArrayForEach (one, input) {
        if (!is_input(one))
            return refuse_input(call);
        call->tokens += tokens_of(call, one);
    }
    return true;
}

static void make_vector(const struct endpoint_call *call, const cJSON *input, float *vector,
                        size_t count)
{
    char *text = cJSON_PrintUnformatted(input);
    uint64_t seed = text != NULL ? digest_bytes(text, strlen(text)) : 0;
    free(text);
    struct random random;
    random_seed(&random, seed, digest_bytes(call->model, strlen(call->model)));
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double value = 2 * random_unit(&random) - 1;
        vector[i] = (float)value;
        sum += value * value;
    }
    float length = (float)sqrt(sum > 0 ? sum : 1);
    for (size_t i = 0; i < count; i++)
        vector[i] /= length;
}

/* Little-endian floats, as the SDKs ask for by themselves. */
static cJSON *encoded(const float *vector, size_t count)
{
    unsigned char *bytes = malloc(4 * count);
    if (bytes == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        for (size_t j = 0; j < 4; j++)
            bytes[4 * i + j] = (unsigned char)(bits >> (8 * j));
    }
    char *text = base64_encode(bytes, 4 * count);
    cJSON *item = cJSON_CreateString(text != NULL ? text : "");
    free(text);
    free(bytes);
    return item;
}

static void add_embedding(const struct endpoint_call *call, cJSON *data, const cJSON *input,
                          size_t count)
{
    float vector[DIMENSIONS_MAX];
    make_vector(call, input, vector, count);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "embedding");
    cJSON_AddNumberToObject(root, "index", cJSON_GetArraySize(data));
    cJSON_AddItemToObject(root, "embedding",
                          wants_base64(call) ? encoded(vector, count)
                                             : cJSON_CreateFloatArray(vector, (int)count));
    cJSON_AddItemToArray(data, root);
}

void endpoint_embeddings_make(struct endpoint_call *call)
{
    const cJSON *input = input_of(call);
    int64_t dimensions = dimensions_of_model(call->model);
    endpoint_read_whole(call, "dimensions", 1, dimensions, &dimensions);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "list");
    cJSON *data = cJSON_AddArrayToObject(root, "data");
    if (is_one_input(input)) {
        add_embedding(call, data, input, (size_t)dimensions);
    } else {
        const cJSON *one;
        cJSON_ArrayForEach (one, input) {
            add_embedding(call, data, one, (size_t)dimensions);
        }
    }
    cJSON_AddStringToObject(root, "model", call->model);
    cJSON *usage = cJSON_AddObjectToObject(root, "usage");
    double tokens = (double)endpoint_prompt_tokens(call);
    cJSON_AddNumberToObject(usage, "prompt_tokens", tokens);
    cJSON_AddNumberToObject(usage, "total_tokens", tokens);
    answer_header(call->answer, "openai-model", "%s", call->model);
    answer_body(call->answer, cJSON_PrintUnformatted(root));
    cJSON_Delete(root);
}
