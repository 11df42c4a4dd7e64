/* openai_error: OpenAI's error bodies, each kind in its words.
 *
 * The envelope is {"error": {"message", "type", "param", "code"}}, printed with four spaces as
 * api.openai.com does. One row of a table a kind; to add one, add its row in openai_error.c.
 * Sources stand beside the rows. No genuine body for a concurrency limit is known: the one here
 * follows the template of the others, and a script can say its own.
 */
#ifndef TOOMANY_MOCKSERVER_OPENAI_ERROR_H
#define TOOMANY_MOCKSERVER_OPENAI_ERROR_H

#include "mockserver/answer.h"
#include "mockserver/quota.h"

#include <stdbool.h>

#define OPENAI_ORGANIZATION "org-toomany"
#define OPENAI_PROJECT "proj_toomany"

struct openai_error_kind {
    const char *name; /* as scripts say it */
    int status;
    const char *type;
    const char *code;    /* NULL: null in the body */
    const char *param;   /* likewise */
    const char *message; /* "{model}", "{organization}", "{project}", "{wait}" are filled in */
    int64_t wait_ns;     /* "{wait}" when nobody says how long: as its numbers give; -1 none */
    const char *body;    /* sent as it stands instead of OpenAI's envelope; NULL: the envelope */
    const char *content_type; /* of that body; NULL: JSON */
};

/* What a message names; NULL: what the server calls its own. */
struct openai_names {
    const char *model;
    const char *organization;
    const char *project;
};

/* NULL when there is none of that name. */
const struct openai_error_kind *openai_error_find(const char *name);

/* The table, for messages that list the names; ends with a row whose name is NULL. */
const struct openai_error_kind *openai_error_kinds(void);

/* What an error says; NULL members of type, code and param become null. */
struct openai_error {
    int status;
    const char *message;
    const char *type;
    const char *code;
    const char *param;
};

/* Fills status, code and body of `answer` (which is initialised by this). */
void openai_error_answer(struct answer *answer, const struct openai_error *error);

/* The same from a kind of the table; `wait_ns` fills "{wait}" (-1: the kind's). */
void openai_error_answer_kind(struct answer *answer, const struct openai_error_kind *kind,
                              const struct openai_names *names, int64_t wait_ns);

/* The message of a kind with its places filled; the caller frees it. */
char *openai_error_message(const struct openai_error_kind *kind, const struct openai_names *names,
                           int64_t wait_ns);

/* The body of a kind that has one of its own, as the whole answer with `status`. */
void openai_error_answer_body(struct answer *answer, const struct openai_error_kind *kind,
                              int status);

/* 429 for a request that a limit refused, with the numbers filled in; a project's limit is said to
 * be the project's. */
void openai_error_answer_refusal(struct answer *answer, const struct quota_answer *refusal,
                                 const struct openai_names *names, bool is_of_project);

#endif
