/* Locks on files that another process of the program has. */
#include "lines.h"

#include <fcntl.h>
#include <sys/file.h>

static int open_anew(void)
{
    char path[] = "/tmp/toomany-lock-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    return fd;
}

static int lock_record(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLKW, &lock);
}

static int lock_whole(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return flock(open(path, O_RDWR), LOCK_EX); /* a description of its own */
}

/* The child has the lock for 200 ms, and tells by the pipe when it has got it. */
static void wait_for_child(const char *name, int (*lock)(int fd))
{
    int fd = open_anew();
    int told[2];
    char byte = 0;
    if (pipe(told) != 0)
        return;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec wait = timespec_of(200 * MS);
        lock(fd);
        if (write(told[1], &byte, 1) == 1)
            nanosleep(&wait, NULL);
        _exit(0);
    }
    if (read(told[0], &byte, 1) != 1)
        return;
    int64_t start_ns = now_ns();
    say(name, lock(fd));
    say_took(name, start_ns, 200 * MS);
    reap(pid);
}

int main(void)
{
    wait_for_child("fcntl", lock_record);
    wait_for_child("flock", lock_whole);
    return 0;
}
