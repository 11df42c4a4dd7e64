/* quota_log: what a sliding window has seen: what was taken when, until it comes back.
 *
 * Entries lie on a grid of a 60,000th of the window, later rather than earlier, so that a log has
 * at most as many. NULL is the empty log. */
#ifndef TOOMANY_MOCKSERVER_QUOTA_LOG_H
#define TOOMANY_MOCKSERVER_QUOTA_LOG_H

#include <stdint.h>

struct quota_log;

/* Notes what is taken now. Makes the log where there is none; the caller frees it by free(). Where
 * memory is out, it joins what was taken last, which then comes back later. */
void quota_log_take(struct quota_log **log, int64_t window_ns, int64_t now_ns, int64_t cost);
/* Takes back so much of what was taken last. */
void quota_log_give_back(struct quota_log *log, int64_t amount);
/* Forgets what has come back. */
void quota_log_expire(struct quota_log *log, int64_t window_ns, int64_t now_ns);

/* What is used at now_ns. */
int64_t quota_log_used(const struct quota_log *log, int64_t window_ns, int64_t now_ns);
/* The same at the moment of the last quota_log_expire(), without a search. */
int64_t quota_log_kept(const struct quota_log *log);
/* Until `needed` of what is kept has come back; there is as much. */
int64_t quota_log_wait(const struct quota_log *log, int64_t window_ns, int64_t now_ns,
                       int64_t needed);
/* When the last was taken; there is one. */
int64_t quota_log_last_ns(const struct quota_log *log);

#endif
