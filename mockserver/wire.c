#include "mockserver/wire.h"

#include "base/duration.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    FILE *file;
    char *text;
    size_t length;
    struct answer_piece *pieces;
    size_t count;
};

static void end_piece(struct writer *writer, int64_t due_ns)
{
    fflush(writer->file);
    writer->pieces[writer->count++] = (struct answer_piece){writer->length, due_ns};
}

static void write_head(struct writer *writer, const struct answer *answer, bool is_chunked,
                       int64_t length_error)
{
    fprintf(writer->file, "HTTP/1.1 %d %s\r\n", answer->status,
            MHD_get_reason_phrase_for((unsigned int)answer->status));
    for (size_t i = 0; i < answer->header_count; i++)
        fprintf(writer->file, "%s: %s\r\n", answer_name(answer, i), answer_value(answer, i));
    int64_t length = (int64_t)answer->body_length + length_error;
    if (is_chunked)
        fputs("Transfer-Encoding: chunked\r\n\r\n", writer->file);
    else
        fprintf(writer->file, "Content-Length: %" PRId64 "\r\n\r\n", length > 0 ? length : 0);
    end_piece(writer, 0);
}

static void write_body(struct writer *writer, const struct answer *answer, bool is_chunked)
{
    const struct answer_piece whole = {.end = answer->body_length};
    const struct answer_piece *pieces = answer->pieces != NULL ? answer->pieces : &whole;
    size_t count = answer->pieces != NULL ? answer->piece_count : 1;
    size_t begin = 0;
    for (size_t i = 0; i < count && answer->body_length > 0; i++) {
        size_t length = pieces[i].end - begin;
        if (is_chunked)
            fprintf(writer->file, "%zx\r\n", length);
        fwrite(answer->body + begin, 1, length, writer->file);
        if (is_chunked)
            fputs("\r\n", writer->file);
        end_piece(writer, pieces[i].due_ns);
        begin = pieces[i].end;
    }
}

bool wire_make(struct answer *answer, enum wire_framing framing, int64_t length_error)
{
    struct writer writer = {0};
    bool is_chunked = framing != WIRE_LENGTH || answer->stream != ANSWER_NOT_STREAMED;
    /* One more for the headers, for a whole body, and for the last chunk. */
    writer.pieces = calloc(answer->piece_count + 3, sizeof *writer.pieces);
    writer.file = open_memstream(&writer.text, &writer.length);
    if (writer.pieces != NULL && writer.file != NULL) {
        write_head(&writer, answer, is_chunked, length_error);
        write_body(&writer, answer, is_chunked);
        if (is_chunked && framing != WIRE_ENDLESS_CHUNKS) {
            fputs("0\r\n\r\n", writer.file);
            end_piece(&writer, writer.pieces[writer.count - 1].due_ns);
        }
    }
    bool is_made = writer.file != NULL && ferror(writer.file) == 0;
    if (writer.file != NULL)
        is_made = fclose(writer.file) == 0 && is_made && writer.pieces != NULL;
    if (!is_made) {
        free(writer.text);
        free(writer.pieces);
        return false;
    }
    answer_body_bytes(answer, writer.text, writer.length);
    answer_pieces(answer, writer.pieces, writer.count);
    answer->is_raw = true;
    answer->end = ANSWER_CLOSES;
    return true;
}

size_t wire_head_length(const struct answer *answer)
{
    return answer->pieces[0].end;
}

void wire_cut(struct answer *answer, size_t length, enum answer_end end)
{
    size_t count = 0;
    while (count < answer->piece_count && answer->pieces[count].end < length)
        count++;
    if (count < answer->piece_count) {
        answer->pieces[count].end = length;
        answer->piece_count = count + 1;
        answer->body_length = length;
    }
    answer->end = end;
}

/* The pieces with one that ends at `length`. */
static bool split(struct answer *answer, size_t length)
{
    size_t at = 0;
    while (at < answer->piece_count && answer->pieces[at].end < length)
        at++;
    if (at == answer->piece_count || answer->pieces[at].end == length)
        return true;
    struct answer_piece *pieces =
        realloc(answer->pieces, (answer->piece_count + 1) * sizeof *pieces);
    if (pieces == NULL)
        return false;
    memmove(pieces + at + 1, pieces + at, (answer->piece_count - at) * sizeof *pieces);
    pieces[at].end = length;
    answer->pieces = pieces;
    answer->piece_count++;
    return true;
}

bool wire_hold(struct answer *answer, size_t length, int64_t wait_ns)
{
    if (!split(answer, length))
        return false;
    for (size_t i = 0; i < answer->piece_count; i++) {
        if (answer->pieces[i].end > length)
            answer->pieces[i].due_ns += wait_ns;
    }
    return true;
}

bool wire_slow_down(struct answer *answer, double bytes_per_second)
{
    size_t head = wire_head_length(answer);
    size_t length = answer->body_length - head;
    size_t step = 1 + length / WIRE_PIECES_MAX;
    size_t count = (length + step - 1) / step;
    struct answer_piece *pieces = calloc(count + 1, sizeof *pieces);
    if (pieces == NULL)
        return false;
    pieces[0].end = head;
    size_t old = 0;
    for (size_t i = 1; i <= count; i++) {
        size_t sent = i * step < length ? i * step : length;
        while (answer->pieces[old].end < head + sent)
            old++;
        double due_ns = (double)sent * (double)NS_PER_S / bytes_per_second;
        int64_t slow_ns = due_ns < (double)DURATION_NS_MAX ? (int64_t)due_ns : DURATION_NS_MAX;
        int64_t own_ns = answer->pieces[old].due_ns;
        pieces[i] = (struct answer_piece){head + sent, slow_ns > own_ns ? slow_ns : own_ns};
    }
    answer_pieces(answer, pieces, count + 1);
    return true;
}
