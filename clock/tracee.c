#include "clock/tracee.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

bool tracee_read(const struct tracee *tracee, uint64_t address, void *bytes, size_t length)
{
    struct iovec ours = {.iov_base = bytes, .iov_len = length};
    struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};
    return process_vm_readv(tracee->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)length;
}

bool tracee_write(const struct tracee *tracee, uint64_t address, const void *bytes, size_t length)
{
    /* struct iovec serves both directions and so knows no const; nothing writes to `bytes`. */
    struct iovec ours = {.iov_len = length};
    memcpy(&ours.iov_base, &bytes, sizeof bytes);
    struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};
    return process_vm_writev(tracee->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)length;
}

const char *tracee_name(const struct tracee *tracee, char name[32])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)tracee->tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, name, 31) : 0;
    if (fd >= 0)
        close(fd);
    name[length > 0 ? length : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return name;
}
