/* curl_loop: libcurl's transfers on the loop, without a thread.
 *
 * libcurl says which sockets it waits for and until when; the loop watches them and tells it. A
 * transfer is an easy handle that is added to `multi`; when it has ended, `ended` is called, which
 * may remove and add handles.
 */
#ifndef TOOMANY_CLIENT_CURL_LOOP_H
#define TOOMANY_CLIENT_CURL_LOOP_H

#include "clock/loop.h"
#include "clock/machine_timer.h"

#include <curl/curl.h>

struct curl_loop {
    /* To be set before curl_loop_init. */
    void (*ended)(void *owner, CURL *easy, CURLcode result);
    void *owner;

    struct loop *loop;
    CURLM *multi;
    struct deadline due;        /* libcurl's timer, where it is part of the run */
    struct machine_timer timer; /* libcurl's timer on a virtual clock */
};

/* False with the reason; curl_loop_free is then not needed, and allowed. */
bool curl_loop_init(struct curl_loop *curl, struct loop *loop, struct error *error);

/* No transfer may be left. */
void curl_loop_free(struct curl_loop *curl);

#endif
