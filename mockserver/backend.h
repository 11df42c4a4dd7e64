/* backend: who answers admitted requests in place of the built-in model.
 *
 * The server knows only this; what asks another server over the network is upstream/. A transfer is
 * one request that is being answered: `head` once, `data` as it comes, `end` once, or `end` alone
 * where no answer came. None of them is called from within `start` or after `cancel`.
 */
#ifndef TOOMANY_MOCKSERVER_BACKEND_H
#define TOOMANY_MOCKSERVER_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_header {
    const char *name;
    const char *value;
};

/* Valid during the call only. */
struct backend_request {
    const char *method;
    const char *target; /* path with its query, as the client sent it */
    const struct backend_header *headers;
    size_t header_count;
    const char *body;
    size_t body_length;
};

struct backend_head {
    int status;
    const struct backend_header *headers;
    size_t header_count;
    int64_t length;         /* of the body; -1 not known */
    int64_t retry_after_ns; /* that it asks for; -1 none */
};

/* Why no whole answer came. */
struct backend_failure {
    bool is_timeout;
    const char *message; /* without addresses and keys: it is told to clients */
};

struct backend_sink {
    void *owner;
    void (*head)(void *owner, const struct backend_head *head);
    /* False: enough for now; nothing more comes before `resume`. The data is taken all the same. */
    bool (*data)(void *owner, const char *data, size_t length);
    void (*end)(void *owner, const struct backend_failure *failure); /* NULL: it is whole */
};

struct backend {
    void *owner;
    /* The transfer, good until its end; NULL: memory is out. */
    void *(*start)(void *owner, const struct backend_request *request,
                   const struct backend_sink *sink);
    void (*resume)(void *owner, void *transfer);
    void (*cancel)(void *owner, void *transfer);
};

#endif
