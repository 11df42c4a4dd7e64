#include "tests/unit/api_world.h"

#define PATH "/v1/audio/speech"
#define BODY "{\"model\": \"tts-1\", \"voice\": \"alloy\", \"input\": \"Hello\""

/* Every frame begins with the same four bytes, and nothing is left over. */
static void mp3_by_itself(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH, BODY "}"), 200);
    const struct answer *answer = &world.outcome.answer;
    assert_string_equal(answer_find_header(answer, "content-type"), "audio/mpeg");
    assert_int_equal(answer->body_length % 144, 0);
    for (size_t i = 0; i < answer->body_length; i += 144)
        assert_memory_equal(answer->body + i, "\xff\xf3\x64\xc4", 4);
    world_end(&world);
}

static uint32_t number_at(const char *bytes)
{
    uint32_t number = 0;
    for (size_t i = 0; i < 4; i++)
        number |= (uint32_t)(unsigned char)bytes[i] << (8 * i);
    return number;
}

static void wav_and_samples(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH, BODY ", \"response_format\": \"wav\"}"), 200);
    const struct answer *answer = &world.outcome.answer;
    assert_memory_equal(answer->body, "RIFF", 4);
    assert_memory_equal(answer->body + 36, "data", 4);
    assert_int_equal(number_at(answer->body + 4), answer->body_length - 8);
    assert_int_equal(number_at(answer->body + 40), answer->body_length - 44);
    assert_int_equal(number_at(answer->body + 24), 24000);
    assert_int_equal(world_post(&world, PATH, BODY ", \"response_format\": \"pcm\"}"), 200);
    assert_int_equal(world.outcome.answer.body_length, 4800);
    world_end(&world);
}

static void what_is_missing_or_not_there_is_refused(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"input\": \"a\"}"), 400);
    assert_text_at(world.root, "error.param", "voice");
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"voice\": \"a\"}"), 400);
    assert_text_at(world.root, "error.param", "input");
    assert_int_equal(world_post(&world, PATH, BODY ", \"response_format\": \"flac\"}"), 400);
    assert_int_equal(world_post(&world, PATH, BODY ", \"stream_format\": \"audio\"}"), 200);
    assert_int_equal(world_post(&world, PATH, BODY ", \"stream_format\": \"sse\"}"), 400);
    assert_text_at(world.root, "error.code", "unsupported_value");
    assert_int_equal(world_post(&world, PATH, BODY ", \"stream_format\": \"chunks\"}"), 400);
    assert_text_at(world.root, "error.message",
                   "Invalid value: 'chunks'. Supported values are: 'sse' and 'audio'.");
    char body[6000];
    snprintf(body, sizeof body, "{\"model\": \"m\", \"voice\": \"a\", \"input\": \"%04097d\"}", 0);
    assert_int_equal(world_post(&world, PATH, body), 400);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mp3_by_itself),
        cmocka_unit_test(wav_and_samples),
        cmocka_unit_test(what_is_missing_or_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
