/* POST /v1/audio/speech: a tenth of a second of silence, as MP3, WAV or bare samples. */
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "mockserver/token_estimate.h"

#include <stdlib.h>
#include <string.h>
#include <unistr.h>

enum {
    SAMPLE_RATE = 24000, /* of OpenAI's WAV and PCM, 16 bits, one channel */
    SAMPLES = SAMPLE_RATE / 10,
    WAV_HEADER_SIZE = 44,
    MP3_FRAME_SIZE = 144, /* MPEG-2 layer III, 48 kbit/s at 24 kHz: 72 * 48000 / 24000 */
    MP3_FRAMES = 5,       /* of 24 ms */
    INPUT_CHARACTERS_MAX = 4096,
};

static const char *text_of(const struct endpoint_call *call, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->root, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static void put(unsigned char *bytes, uint32_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

/* Four characters that name a part of the file. */
static void put_tag(unsigned char *bytes, const char *tag)
{
    for (size_t i = 0; i < 4; i++)
        bytes[i] = (unsigned char)tag[i];
}

static size_t make_pcm(unsigned char **bytes)
{
    *bytes = calloc(SAMPLES, 2);
    return 2 * (size_t)SAMPLES;
}

static size_t make_wav(unsigned char **bytes)
{
    const uint32_t data_size = 2 * SAMPLES;
    unsigned char *wav = calloc(WAV_HEADER_SIZE + data_size, 1);
    *bytes = wav;
    if (wav == NULL)
        return 0;
    put_tag(wav, "RIFF");
    put_tag(wav + 8, "WAVE");
    put_tag(wav + 12, "fmt ");
    put(wav + 4, WAV_HEADER_SIZE - 8 + data_size, 4);
    put(wav + 16, 16, 4);              /* size of the format */
    put(wav + 20, 1, 2);               /* PCM */
    put(wav + 22, 1, 2);               /* channels */
    put(wav + 24, SAMPLE_RATE, 4);     /* samples a second */
    put(wav + 28, 2 * SAMPLE_RATE, 4); /* bytes a second */
    put(wav + 32, 2, 2);               /* bytes of a sample */
    put(wav + 34, 16, 2);              /* bits of a sample */
    put_tag(wav + 36, "data");
    put(wav + 40, data_size, 4);
    return WAV_HEADER_SIZE + data_size;
}

/* A frame whose side information is all zeros holds no sound. */
static size_t make_mp3(unsigned char **bytes)
{
    static const unsigned char header[4] = {0xff, 0xf3, 0x64, 0xc4};
    unsigned char *mp3 = calloc(MP3_FRAMES, MP3_FRAME_SIZE);
    *bytes = mp3;
    for (size_t i = 0; mp3 != NULL && i < MP3_FRAMES; i++)
        memcpy(mp3 + i * MP3_FRAME_SIZE, header, sizeof header);
    return (size_t)MP3_FRAMES * MP3_FRAME_SIZE;
}

static const struct {
    const char *format;
    const char *type;
    size_t (*make)(unsigned char **bytes);
} formats[] = {
    {"mp3", "audio/mpeg", make_mp3},
    {"wav", "audio/wav", make_wav},
    {"pcm", "audio/pcm", make_pcm},
};

/* The index of the format that is asked for; -1: not one of them. */
static int find_format(const struct endpoint_call *call)
{
    const char *wanted = text_of(call, "response_format");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (wanted[0] == '\0' || strcmp(wanted, formats[i].format) == 0)
            return (int)i;
    }
    return -1;
}

static bool check_stream_format(struct endpoint_call *call)
{
    static const char name[] = "stream_format";
    static const char *const stream_formats[] = {"sse", "audio", NULL};
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(call->root, name);
    if (format == NULL || cJSON_IsNull(format))
        return true;
    if (!endpoint_check_word(call, format, name, stream_formats))
        return false;
    return strcmp(format->valuestring, "audio") == 0 ||
           endpoint_refuse(call->answer, 400,
                           "Unsupported value: 'stream_format' is audio with this mock server.",
                           "unsupported_value", name);
}

bool endpoint_speech_read(struct endpoint_call *call)
{
    if (!endpoint_read_body(call, NULL))
        return false;
    const char *input = text_of(call, "input");
    if (input[0] == '\0')
        return endpoint_refuse_missing(call, "input");
    if (cJSON_GetObjectItemCaseSensitive(call->root, "voice") == NULL)
        return endpoint_refuse_missing(call, "voice");
    if (u8_mbsnlen((const uint8_t *)input, strlen(input)) > INPUT_CHARACTERS_MAX)
        return endpoint_refuse(call->answer, 400,
                               "[{'type': 'string_too_long', 'loc': ('body', 'input'), 'msg': "
                               "'String should have at most 4096 characters'}]",
                               NULL, NULL);
    if (find_format(call) < 0)
        return endpoint_refuse(call->answer, 400,
                               "Unsupported value: 'response_format' is mp3, wav or pcm with this "
                               "mock server.",
                               "unsupported_value", "response_format");
    call->tokens = token_estimate_text(input);
    return check_stream_format(call);
}

void endpoint_speech_make(struct endpoint_call *call)
{
    int format = find_format(call);
    unsigned char *bytes = NULL;
    size_t length = formats[format].make(&bytes);
    answer_body_bytes(call->answer, bytes, length);
    answer_header(call->answer, "content-type", "%s", formats[format].type);
}
