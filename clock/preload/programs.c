/* Starting programs: they, too, are to carry the library, whatever environment they are given. */
#include "clock/preload/library.h"

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <stdlib.h>

enum { ARGUMENTS_MAX = 65536 };

/* "LD_PRELOAD=..." and "TOOMANY_CLOCK_PAGE=..." as this program was started with. */
static char preload_entry[4096];
static char page_entry[512];

__attribute__((constructor(102))) static void remember_environment(void)
{
    const char *preload = getenv("LD_PRELOAD");
    const char *path = getenv(PAGE_VARIABLE);
    if (preload == NULL || path == NULL ||
        strlen(preload) + sizeof "LD_PRELOAD=" > sizeof preload_entry ||
        strlen(path) + sizeof PAGE_VARIABLE "=" > sizeof page_entry)
        return;
    strcat(strcpy(preload_entry, "LD_PRELOAD="), preload);
    strcat(strcpy(page_entry, PAGE_VARIABLE "="), path);
}

static bool has_name(const char *entry, const char *with_equals)
{
    return strncmp(entry, with_equals, strlen(with_equals)) == 0;
}

static size_t count_of(char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

/* The entry of that name, or NULL. */
static const char *find_entry(char *const *list, const char *with_equals)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (has_name(list[i], with_equals))
            return list[i];
    }
    return NULL;
}

/* What `carrying` needs: the list and, where the program preloads something else, both names. */
static size_t carrying_size(char *const *environment)
{
    const char *preload = find_entry(environment, "LD_PRELOAD=");
    size_t text = preload != NULL ? strlen(preload) + sizeof preload_entry : 0;
    return (count_of(environment) + 3) * sizeof(char *) + text;
}

/* The same environment with what carries the library, in `room`. */
static char **carrying(char *const *environment, char **room)
{
    const char *preload = find_entry(environment, "LD_PRELOAD=");
    size_t count = 0;
    char *text = (char *)(room + count_of(environment) + 3);
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        if (environment[i] != preload)
            room[count++] = environment[i];
    }
    if (preload == NULL)
        room[count++] = preload_entry;
    else if (strstr(preload, "libtoomany-clock.so") != NULL)
        room[count++] = strcpy(text, preload);
    else
        room[count++] =
            strcat(strcat(strcpy(text, preload_entry), ":"), preload + strlen("LD_PRELOAD="));
    if (find_entry(environment, PAGE_VARIABLE "=") == NULL)
        room[count++] = page_entry;
    room[count] = NULL;
    return room;
}

/* Whether an exec has anything to add. */
static bool is_in_run(void)
{
    libc();
    return page != NULL && preload_entry[0] != '\0';
}

#define CARRYING(environment)                                                                      \
    (is_in_run() ? carrying((environment), alloca(carrying_size(environment))) : (environment))

EXPORTED int execve(const char *path, char *const arguments[], char *const environment[])
{
    char *const *environment_to_be = CARRYING(environment);
    unregister_process();
    int result = libc()->execve(path, arguments, environment_to_be);
    int error = errno;
    register_process();
    errno = error;
    return result;
}

EXPORTED int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    char *const *environment_to_be = CARRYING(environment);
    unregister_process();
    int result = libc()->execvpe(file, arguments, environment_to_be);
    int error = errno;
    register_process();
    errno = error;
    return result;
}

EXPORTED int fexecve(int fd, char *const arguments[], char *const environment[])
{
    char *const *environment_to_be = CARRYING(environment);
    unregister_process();
    int result = libc()->fexecve(fd, arguments, environment_to_be);
    int error = errno;
    register_process();
    errno = error;
    return result;
}

EXPORTED int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

EXPORTED int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

/* The arguments of execl() and its like, up to the NULL. */
static size_t count_arguments(va_list list)
{
    size_t count = 1;
    while (va_arg(list, char *) != NULL && count < ARGUMENTS_MAX)
        count++;
    return count;
}

static void copy_arguments(char **arguments, const char *first, va_list list)
{
    memcpy(&arguments[0], &first, sizeof first);
    for (size_t i = 1; (arguments[i] = va_arg(list, char *)) != NULL; i++)
        continue;
}

/* It declares `arguments`. */
#define ARGUMENT_LIST(arguments, list, first)                                                      \
    va_start(list, first);                                                                         \
    char **arguments = alloca((count_arguments(list) + 1) * sizeof *arguments);                    \
    va_end(list);                                                                                  \
    va_start(list, first);                                                                         \
    copy_arguments(arguments, first, list)

EXPORTED int execl(const char *path, const char *first, ...)
{
    va_list list;
    ARGUMENT_LIST(arguments, list, first);
    va_end(list);
    return execve(path, arguments, environ);
}

EXPORTED int execlp(const char *file, const char *first, ...)
{
    va_list list;
    ARGUMENT_LIST(arguments, list, first);
    va_end(list);
    return execvpe(file, arguments, environ);
}

EXPORTED int execle(const char *path, const char *first, ...)
{
    va_list list;
    ARGUMENT_LIST(arguments, list, first);
    char *const *environment = va_arg(list, char *const *);
    va_end(list);
    return execve(path, arguments, environment);
}

EXPORTED int posix_spawn(pid_t *restrict pid, const char *restrict path,
                         const posix_spawn_file_actions_t *restrict actions,
                         const posix_spawnattr_t *restrict attributes,
                         char *const arguments[restrict], char *const environment[restrict])
{
    return libc()->posix_spawn(pid, path, actions, attributes, arguments, CARRYING(environment));
}

EXPORTED int posix_spawnp(pid_t *restrict pid, const char *restrict file,
                          const posix_spawn_file_actions_t *restrict actions,
                          const posix_spawnattr_t *restrict attributes,
                          char *const arguments[restrict], char *const environment[restrict])
{
    return libc()->posix_spawnp(pid, file, actions, attributes, arguments, CARRYING(environment));
}
