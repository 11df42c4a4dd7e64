/* Traffic that leaves the run. Whether everybody waits can be known only of the run's own programs;
 * an answer from another machine, or from another program of this one, comes in real time. So a
 * connection to such a one lets the clock run. One to an address of this machine at which nobody
 * listens is refused at once, and is no such traffic. */
#include "clock/traced_call.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define OTHER_MACHINE "it talks to another machine, whose answers take real time"
#define OTHER_PROGRAM "it talks to a program of this machine that is not part of the run"

union address {
    struct sockaddr base;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static bool read_address(const struct tracee *tracee, uint64_t pointer, uint64_t length,
                         union address *address)
{
    memset(address, 0, sizeof *address);
    if (length > sizeof *address)
        length = sizeof *address;
    return length >= sizeof(sa_family_t) && tracee_read(tracee, pointer, address, (size_t)length);
}

static bool is_loopback(const union address *address)
{
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    uint32_t v4 = ntohl(address->v4.sin_addr.s_addr);
    if (address->base.sa_family == AF_INET6) {
        if (IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_UNSPECIFIED(v6))
            return true;
        if (!IN6_IS_ADDR_V4MAPPED(v6))
            return false;
        memcpy(&v4, v6->s6_addr + 12, sizeof v4);
        v4 = ntohl(v4);
    }
    return v4 >> 24 == 127 || v4 == 0;
}

/* Whether a program of the run has the socket with this inode. */
static bool is_of_run(struct tracer *tracer, uint64_t inode)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    for (const struct tracee_process *process = tracer_processes(tracer); process != NULL;
         process = process->next) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/fd", (int)process->pid);
        DIR *directory = opendir(path);
        bool is_found = false;
        for (struct dirent *entry;
             !is_found && directory != NULL && (entry = readdir(directory)) != NULL;) {
            char target[64];
            ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
            target[length > 0 ? length : 0] = '\0';
            is_found = strcmp(target, wanted) == 0;
        }
        if (directory != NULL)
            closedir(directory);
        if (is_found)
            return true;
    }
    return false;
}

/* Who may answer at a port, from a line of /proc/net/tcp, udp and their like:
 *     0: 0100007F:1F90 00000000:0000 0A ... inode is the tenth column */
static bool line_answers(const char *line, bool is_stream, uint16_t port, uint64_t *inode)
{
    enum { LISTENS = 0x0a };
    unsigned local_port;
    unsigned state;
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit
    return sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %" SCNu64,
                  &local_port, &state, inode) == 3 &&
           local_port == port && (!is_stream || state == LISTENS);
}

/* The same of /proc/net/unix, for a socket that listens at `path`:
 *     address: 00000002 00000000 00010000 0001 01 12345 /path */
static bool line_listens(const char *line, const char *path, uint64_t *inode)
{
    enum { ACCEPTS = 0x10000 };
    unsigned flags;
    int path_offset = 0;
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit
    return sscanf(line, "%*[0-9A-Fa-f]: %*x %*x %x %*x %*x %" SCNu64 " %n", &flags, inode,
                  &path_offset) == 2 &&
           path_offset > 0 && (flags & ACCEPTS) != 0 &&
           strcspn(line + path_offset, "\n") == strlen(path) &&
           strncmp(line + path_offset, path, strlen(path)) == 0;
}

struct place {
    const char *path; /* of a unix socket, as /proc has it; NULL: a port */
    uint16_t port;
    bool is_stream;
};

/* Looks through a file of /proc/PID/net. Adds to *strangers and *friends who may answer there. */
static void look_through(struct tracer *tracer, const struct tracee *tracee, const char *name,
                         const struct place *place, int *strangers, int *friends)
{
    char file[64];
    char line[512];
    snprintf(file, sizeof file, "/proc/%d/net/%s", (int)tracee->tid, name);
    FILE *stream = fopen(file, "re");
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        uint64_t inode = 0;
        bool answers = place->path != NULL
                           ? line_listens(line, place->path, &inode)
                           : line_answers(line, place->is_stream, place->port, &inode);
        if (answers)
            ++*(is_of_run(tracer, inode) ? friends : strangers);
    }
    if (stream != NULL)
        fclose(stream);
}

/* One message of the kernel about sockets. False at the last one. */
static bool take_socket(struct tracer *tracer, struct nlmsghdr *header, uint16_t port,
                        int *strangers, int *friends)
{
    struct inet_diag_msg socket;
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return false;
    memcpy(&socket, NLMSG_DATA(header), sizeof socket);
    if (ntohs(socket.id.idiag_sport) == port)
        ++*(is_of_run(tracer, socket.idiag_inode) ? friends : strangers);
    return true;
}

/* Asks the kernel who may answer at a port, which on large machines is faster by far than to read
 * all connections in /proc. False where this kernel does not tell. */
static bool ask_kernel(struct tracer *tracer, uint8_t family, bool is_stream, uint16_t port,
                       int *strangers, int *friends)
{
    enum { LISTENS = 1 << 10, ANY = 0xfff };
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } question = {
        .header = {.nlmsg_len = sizeof question,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = family,
                    .sdiag_protocol = is_stream ? IPPROTO_TCP : IPPROTO_UDP,
                    .idiag_states = is_stream ? LISTENS : ANY},
    };
    _Alignas(struct nlmsghdr) char answer[32 * 1024];
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    bool goes_on = fd >= 0 && send(fd, &question, sizeof question, 0) == sizeof question;
    bool is_told = false;
    while (goes_on) {
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        size_t left = got > 0 ? (size_t)got : 0;
        goes_on = left > 0;
        for (struct nlmsghdr *header = (void *)answer; goes_on && NLMSG_OK(header, left);
             header = NLMSG_NEXT(header, left)) {
            is_told = is_told || header->nlmsg_type == NLMSG_DONE;
            goes_on = take_socket(tracer, header, port, strangers, friends);
        }
    }
    if (fd >= 0)
        close(fd);
    return is_told;
}

static void look_at_port(struct tracer *tracer, const struct tracee *tracee, uint16_t port)
{
    static const struct {
        const char *file;
        uint8_t family;
        bool is_stream;
    } tables[] = {
        {"tcp", AF_INET, true},
        {"tcp6", AF_INET6, true},
        {"udp", AF_INET, false},
        {"udp6", AF_INET6, false},
    };
    int strangers = 0;
    int friends = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct place place = {.port = port, .is_stream = tables[i].is_stream};
        if (!ask_kernel(tracer, tables[i].family, place.is_stream, port, &strangers, &friends))
            look_through(tracer, tracee, tables[i].file, &place, &strangers, &friends);
    }
    if (friends > 0)
        tracer_note_own_traffic(tracer);
    if (strangers > 0 && friends == 0)
        tracer_let_go(tracer, OTHER_PROGRAM);
}

static void acknowledge_on(int pid_fd, int number)
{
    static const int on = 1;
    int fd = (int)syscall(SYS_pidfd_getfd, pid_fd, number, 0);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); /* fails for others than TCP */
    close(fd);
}

void traffic_acknowledge(struct tracer *tracer)
{
    for (const struct tracee_process *process = tracer_processes(tracer); process != NULL;
         process = process->next) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/fd", (int)process->pid);
        DIR *directory = opendir(path);
        int pid_fd = directory != NULL ? (int)syscall(SYS_pidfd_open, process->pid, 0) : -1;
        for (struct dirent *entry; pid_fd >= 0 && (entry = readdir(directory)) != NULL;) {
            char target[16] = "";
            if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0 &&
                strncmp(target, "socket:", 7) == 0)
                acknowledge_on(pid_fd, (int)strtol(entry->d_name, NULL, 10));
        }
        if (pid_fd >= 0)
            close(pid_fd);
        if (directory != NULL)
            closedir(directory);
    }
}

static void look_at_path(struct tracer *tracer, const struct tracee *tracee,
                         const struct sockaddr_un *local, uint64_t length)
{
    char path[sizeof local->sun_path + 1];
    size_t size = (size_t)(length < sizeof *local ? length : sizeof *local);
    size -= offsetof(struct sockaddr_un, sun_path);
    memcpy(path, local->sun_path, size);
    path[size] = '\0';
    for (size_t i = 0; path[0] == '\0' && i < size; i++) {
        if (path[i] == '\0')
            path[i] = '@'; /* an abstract one, as /proc writes it */
    }
    struct place place = {.path = path};
    int strangers = 0;
    int friends = 0;
    look_through(tracer, tracee, "unix", &place, &strangers, &friends);
    if (strangers > 0 && friends == 0)
        tracer_let_go(tracer, OTHER_PROGRAM);
}

static void look_at_address(struct tracer *tracer, const struct tracee *tracee,
                            const union address *address, uint64_t length)
{
    sa_family_t family = address->base.sa_family;
    if (tracer_is_let_go(tracer))
        return;
    if (family == AF_UNIX && length > offsetof(struct sockaddr_un, sun_path))
        look_at_path(tracer, tracee, &address->local, length);
    if (family != AF_INET && family != AF_INET6)
        return;
    uint16_t port = ntohs(family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
    if (port == 0)
        return; /* no traffic: a way to ask which source address would be taken */
    if (!is_loopback(address))
        tracer_let_go(tracer, OTHER_MACHINE);
    else if (port != tracer_server_port(tracer))
        look_at_port(tracer, tracee, port);
}

enum call_verdict connect_begins(struct tracer *tracer, struct tracee *tracee,
                                 struct user_regs_struct *regs)
{
    union address address;
    if (read_address(tracee, regs->rsi, regs->rdx, &address))
        look_at_address(tracer, tracee, &address, regs->rdx);
    return CALL_PASSES;
}

enum call_verdict sendto_begins(struct tracer *tracer, struct tracee *tracee,
                                struct user_regs_struct *regs)
{
    union address address;
    if (read_address(tracee, regs->r8, regs->r9, &address))
        look_at_address(tracer, tracee, &address, regs->r9);
    return CALL_PASSES;
}
