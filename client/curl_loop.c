#include "client/curl_loop.h"

#include "base/duration.h"

#include <stdlib.h>
#include <sys/epoll.h>

struct socket_watch {
    struct watch watch;
    struct curl_loop *curl;
};

static void drive(struct curl_loop *curl, curl_socket_t fd, int events)
{
    int running = 0;
    int left = 0;
    CURLMsg *message;
    curl_multi_socket_action(curl->multi, fd, events, &running);
    while ((message = curl_multi_info_read(curl->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            curl->ended(curl->owner, message->easy_handle, message->data.result);
    }
}

static void socket_ready(void *owner, uint32_t events)
{
    const struct socket_watch *socket = owner; /* may be freed by libcurl's answer to this */
    int what = 0;
    if (events & EPOLLIN)
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    drive(socket->curl, socket->watch.fd, what);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *socket_owner)
{
    struct curl_loop *curl = owner;
    struct socket_watch *socket = socket_owner;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            loop_unwatch(curl->loop, &socket->watch);
        free(socket);
        return 0;
    }
    if (socket == NULL) {
        socket = malloc(sizeof *socket);
        if (socket == NULL)
            return -1;
        *socket = (struct socket_watch){.watch = {.fd = fd, .ready = socket_ready, .owner = socket},
                                        .curl = curl};
        curl_multi_assign(curl->multi, fd, socket);
    }
    uint32_t events = 0;
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    return loop_watch(curl->loop, &socket->watch, events, NULL) ? 0 : -1;
}

static void due_fired(void *owner, int64_t now_ns)
{
    (void)now_ns;
    drive(owner, CURL_SOCKET_TIMEOUT, 0);
}

static void timer_fired(void *owner)
{
    drive(owner, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl's housekeeping (connecting, resolving names) takes real time. On a virtual clock it is
 * not part of the run: only what is due at once may go through the clock's heap, because the
 * clock would jump to anything later. */
static int on_timer(CURLM *multi, long timeout_ms, void *owner)
{
    struct curl_loop *curl = owner;
    (void)multi;
    loop_cancel(curl->loop, &curl->due);
    machine_timer_stop(&curl->timer);
    if (timeout_ms < 0)
        return 0;
    if (timeout_ms > 0 && curl->loop->clock.kind == CLOCK_VIRTUAL)
        machine_timer_start(&curl->timer, timeout_ms * NS_PER_MS);
    else
        loop_after(curl->loop, &curl->due, timeout_ms * NS_PER_MS * curl->loop->clock.speed);
    return 0;
}

bool curl_loop_init(struct curl_loop *curl, struct loop *loop, struct error *error)
{
    curl->loop = loop;
    curl->due = (struct deadline){.fire = due_fired, .owner = curl};
    if (!machine_timer_init(&curl->timer, loop, timer_fired, curl, error))
        return false;
    curl->multi = curl_multi_init();
    if (curl->multi == NULL) {
        machine_timer_free(&curl->timer);
        return error_set_run(error, "libcurl", "it does not start (out of memory?)");
    }
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    return true;
}

void curl_loop_free(struct curl_loop *curl)
{
    if (curl->multi == NULL)
        return;
    curl_multi_cleanup(curl->multi);
    loop_cancel(curl->loop, &curl->due);
    machine_timer_free(&curl->timer);
    curl->multi = NULL;
}
