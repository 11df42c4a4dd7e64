/* admin: what an operator asks the running server, under /_toomany/. No sockets.
 *
 *     GET   /_toomany/health            {"status": "ok", ...}
 *     GET   /_toomany/journal           JSON Lines, one entry a request; ?after=SEQUENCE
 *     GET   /_toomany/quotas            limits and what is used of them
 *     PATCH /_toomany/quotas            {"MODEL": {"requests_per_minute": 100}}: sets these limits
 *     POST  /_toomany/reset             script, quotas and journal as at the start
 *     POST  /_toomany/reload            reads the set-up's file again
 *     GET   /_toomany/metrics           Prometheus
 */
#ifndef TOOMANY_MOCKSERVER_ADMIN_H
#define TOOMANY_MOCKSERVER_ADMIN_H

#include "mockserver/api.h"
#include "mockserver/metrics.h"

#define ADMIN_PREFIX "/_toomany/"

struct admin {
    struct api *api;
    struct journal *journal;
    struct metrics *metrics;
    int in_flight;
    int connections_open;
    uint64_t connections_total;
    bool (*reload)(void *owner, struct error *error); /* NULL: there is no file */
    void *reload_owner;
    int64_t now_ns;
};

/* `after` is the query argument of the journal, or NULL. Fills *answer, which the caller frees. */
void admin_answer(struct admin *admin, const char *method, const char *path, const char *after,
                  const char *body, size_t body_length, struct answer *answer);

/* The answer to one that may not. */
void admin_refuse(struct answer *answer, int status, const char *message);

#endif
