/* fault: what a network, a proxy or a server in trouble makes of a good answer.
 *
 * A script plays one where it says so. The model answers as ever, without the quotas being asked;
 * then the fault does its work on that answer. One file and one row of a table each: to add
 * one, write fault_NAME.c and add its row in fault.c (docs/faults.md).
 *
 *     {"answer": {"fault": "reset", "at": "in_body"}, "when": {"share": 0.1}, "times": "forever"}
 */
#ifndef TOOMANY_MOCKSERVER_FAULT_H
#define TOOMANY_MOCKSERVER_FAULT_H

#include "base/json.h"
#include "mockserver/answer.h"
#include "mockserver/openai_error.h"

enum fault_place { FAULT_BEFORE_HEADERS, FAULT_IN_HEADERS, FAULT_AFTER_HEADERS, FAULT_IN_BODY };

/* What a script may say of it. */
struct fault {
    const struct fault_kind *kind; /* NULL: none */
    enum fault_place at;
    int64_t for_ns;          /* -1: as the kind says */
    double bytes_per_second; /* 0: as the kind says */
    int64_t status;          /* 0: as the kind says */
    int64_t by;              /* 0: as the kind says */
    int form;                /* of the kind's forms */
};

/* What it works on. */
struct fault_play {
    struct answer *answer;
    const struct openai_names *names;
    int64_t wall_ns;   /* Unix time of the answer */
    int64_t refuse_ns; /* no connection is taken for so long from now; 0 none is refused */
};

struct fault_kind {
    const char *name;
    bool needs_stream;        /* plays only for requests that ask for a stream */
    const char *const *keys;  /* what a script may say beside "fault"; NULL-terminated */
    const char *const *forms; /* the words of "form", or NULL */
    int status; /* that it always answers with; 0: that of the model's answer or any */
    void (*play)(const struct fault *fault, struct fault_play *play);
    bool (*breaks)(const struct fault *fault); /* NULL: the answer is not to be taken as good */
};

/* NULL when there is none of that name. */
const struct fault_kind *fault_find(const char *name);

/* The table, NULL-terminated. */
const struct fault_kind *const *fault_kinds(void);

/* Reads {"fault": NAME, ...}. False with the error filled. */
bool fault_read(struct fault *fault, const struct json_reader *reader, const cJSON *object,
                const char *pointer);

/* Whether what comes of a good answer is none that a client may take as good. */
bool fault_breaks(const struct fault *fault);

/* ---- what their files share ---- */

/* Turns the answer into a raw one and tells where `at` is in it. */
size_t fault_offset(const struct fault *fault, struct fault_play *play);

/* For `breaks`: never. */
bool fault_spares(const struct fault *fault);

#endif
