/* Stands in for libcurl, which is loaded when the first of these functions is called. Most runs
 * need none of it, and it brings two dozen libraries along, for TLS and LDAP among others: 5 MB,
 * and more time than all the rest of a start.
 *
 * The program is linked with --as-needed, and so with these instead; the library for applications
 * is linked with libcurl itself. curl's headers, which differ between its versions in `const`, are
 * not read here; the arguments are passed on as they come.
 */
#include "cli/cli.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LIBRARY "libcurl.so.4" /* its name since 2006 */

enum { GLOBAL_DEFAULT = 3 }; /* CURL_GLOBAL_DEFAULT */

/* Which type an option's argument has is a matter of its number: curl's CURLOPTTYPE_... */
enum { OPTION_OF_POINTER = 10000, OPTION_OF_OFFSET = 30000, OPTION_OF_BLOB = 40000 };

static void *library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void give_up(void)
{
    fprintf(stderr, "toomany: libcurl is needed for this and cannot be loaded: %s\n", dlerror());
    exit(CLI_COULD_NOT_RUN);
}

static void load(void)
{
    union {
        void *object;
        int (*function)(long flags);
    } start;
    library = dlopen(LIBRARY, RTLD_LAZY);
    start.object = library != NULL ? dlsym(library, "curl_global_init") : NULL;
    if (start.object == NULL)
        give_up();
    /* Here, because before curl 7.84 two threads must not do it at once. */
    start.function(GLOBAL_DEFAULT);
}

static void *find(_Atomic(void *) *place, const char *name)
{
    void *function = atomic_load_explicit(place, memory_order_acquire);
    if (function != NULL)
        return function;
    pthread_once(&once, load);
    function = dlsym(library, name);
    if (function == NULL)
        give_up();
    atomic_store_explicit(place, function, memory_order_release);
    return function;
}

/* A variable `name_of` that holds the function. */
#define FIND(name)                                                                                 \
    static _Atomic(void *) place;                                                                  \
    union {                                                                                        \
        void *object;                                                                              \
        __typeof__(name) *function;                                                                \
    } name##_of = {.object = find(&place, #name)};

#define FORWARD(type, name, parameters, arguments)                                                 \
    type name parameters;                                                                          \
    type name parameters                                                                           \
    {                                                                                              \
        FIND(name)                                                                                 \
        return name##_of.function arguments;                                                       \
    }

#define FORWARD_VOID(name, parameters, arguments)                                                  \
    void name parameters;                                                                          \
    void name parameters                                                                           \
    {                                                                                              \
        FIND(name)                                                                                 \
        name##_of.function arguments;                                                              \
    }

FORWARD(void *, curl_easy_init, (void), ())
FORWARD_VOID(curl_easy_cleanup, (void *easy), (easy))
FORWARD(int, curl_easy_pause, (void *easy, int what), (easy, what))
FORWARD(const char *, curl_easy_strerror, (int code), (code))
FORWARD(void *, curl_multi_init, (void), ())
FORWARD(int, curl_multi_cleanup, (void *multi), (multi))
FORWARD(int, curl_multi_add_handle, (void *multi, void *easy), (multi, easy))
FORWARD(int, curl_multi_remove_handle, (void *multi, void *easy), (multi, easy))
FORWARD(int, curl_multi_assign, (void *multi, int fd, void *owner), (multi, fd, owner))
FORWARD(void *, curl_multi_info_read, (void *multi, int *left), (multi, left))
FORWARD(int, curl_multi_socket_action, (void *multi, int fd, int events, int *running),
        (multi, fd, events, running))
FORWARD(void *, curl_slist_append, (void *list, const char *text), (list, text))
FORWARD_VOID(curl_slist_free_all, (void *list), (list))
FORWARD(void *, curl_url, (void), ())
FORWARD_VOID(curl_url_cleanup, (void *url), (url))
FORWARD(int, curl_url_get, (const void *url, int part, char **text, unsigned flags),
        (url, part, text, flags))
FORWARD(int, curl_url_set, (void *url, int part, const char *text, unsigned flags),
        (url, part, text, flags))
FORWARD_VOID(curl_free, (void *text), (text))
FORWARD(time_t, curl_getdate, (const char *text, const time_t *unused), (text, unused))

/* The three that take any type. All that is asked of a transfer is asked through a pointer. */

int curl_easy_getinfo(void *easy, int what, ...);
int curl_easy_getinfo(void *easy, int what, ...)
{
    FIND(curl_easy_getinfo)
    va_list arguments;
    va_start(arguments, what);
    int code = curl_easy_getinfo_of.function(easy, what, va_arg(arguments, void *));
    va_end(arguments);
    return code;
}

static int set_option(int (*set)(void *, int, ...), void *owner, int option, va_list arguments)
{
    if (option < OPTION_OF_POINTER)
        return set(owner, option, va_arg(arguments, long));
    if (option >= OPTION_OF_OFFSET && option < OPTION_OF_BLOB)
        return set(owner, option, va_arg(arguments, int64_t));
    return set(owner, option, va_arg(arguments, void *));
}

int curl_easy_setopt(void *easy, int option, ...);
int curl_easy_setopt(void *easy, int option, ...)
{
    FIND(curl_easy_setopt)
    va_list arguments;
    va_start(arguments, option);
    int code = set_option(curl_easy_setopt_of.function, easy, option, arguments);
    va_end(arguments);
    return code;
}

int curl_multi_setopt(void *multi, int option, ...);
int curl_multi_setopt(void *multi, int option, ...)
{
    FIND(curl_multi_setopt)
    va_list arguments;
    va_start(arguments, option);
    int code = set_option(curl_multi_setopt_of.function, multi, option, arguments);
    va_end(arguments);
    return code;
}
