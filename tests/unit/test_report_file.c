#include "base/report_file.h"
#include "tests/unit/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void put(const char *path, const char *text)
{
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

static void assert_file(const char *path, const char *text)
{
    char found[200] = "";
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        fail_msg("%s: %s", path, strerror(errno));
        return;
    }
    size_t length = fread(found, 1, sizeof found - 1, stream);
    found[length] = '\0';
    fclose(stream);
    assert_string_equal(found, text);
}

/* Bug: a temporary file is left behind. */
static void assert_files(size_t count)
{
    DIR *list = opendir(folder);
    size_t found = 0;
    while (readdir(list) != NULL)
        found++;
    closedir(list);
    assert_int_equal(found, count + 2); /* . and .. */
}

static int begin(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s && mkdir %s", folder, folder);
    return system(command);
}

static bool write_text(void *owner, FILE *stream)
{
    const char *text = owner;
    return fputs(text, stream) >= 0;
}

static bool write_half(void *owner, FILE *stream)
{
    (void)owner;
    fputs("half", stream);
    fflush(stream);
    errno = ENOSPC;
    return false;
}

static bool write_half_without_a_reason(void *owner, FILE *stream)
{
    write_half(owner, stream);
    errno = 0;
    return false;
}

static bool write_report(const char *path, struct error *error)
{
    static char text[] = "the report\n";
    return report_file_write(path, write_text, text, error);
}

static void written(const char *path)
{
    struct error error;
    assert_true(report_file_check(path, &error));
    if (!write_report(path, &error))
        fail_msg("%s: %s", error.place, error.message);
}

static void refused(const char *path, const char *place, int error_number)
{
    struct error error = {0};
    assert_false(write_report(path, &error));
    assert_string_equal(error.place, place);
    if (strstr(error.message, strerror(error_number)) == NULL)
        fail_msg("found \"%s\", wanted \"%s\"", error.message, strerror(error_number));
    assert_true(error.could_not_run);
    /* Who asks before knows it before. */
    if (error_number == EEXIST)
        return;
    struct error early = {0};
    assert_false(report_file_check(path, &early));
    assert_string_equal(early.place, error.place);
    assert_string_equal(early.message, error.message);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

/* Bug: a report has the mode of a temporary file, which only its owner may read; a replaced one's
 * is lost. */
static void a_new_file_and_a_replaced_one(void **state)
{
    (void)state;
    const char *path = in_folder("report");
    mode_t before = umask(022);
    written(path);
    assert_file(path, "the report\n");
    assert_int_equal(mode_of(path), 0644);
    put(path, "an older one, which is longer than the new one\n");
    assert_int_equal(chmod(path, 0640), 0);
    written(path);
    assert_file(path, "the report\n");
    assert_int_equal(mode_of(path), 0640);
    umask(before);
    assert_files(1);
}

/* Bug: half a report takes the place of a whole one. */
static void what_fails_leaves_what_was_there(void **state)
{
    (void)state;
    struct error error = {0};
    const char *path = in_folder("report");
    put(path, "older\n");
    assert_false(report_file_write(path, write_half, NULL, &error));
    assert_string_equal(error.place, path);
    assert_non_null(strstr(error.message, strerror(ENOSPC)));
    assert_file(path, "older\n");
    assert_files(1);
    assert_false(report_file_write(path, write_half_without_a_reason, NULL, &error));
    assert_non_null(strstr(error.message, strerror(EIO))); /* never "Success" */
    assert_file(path, "older\n");
    assert_false(report_file_write(in_folder("other"), write_half, NULL, &error));
    assert_files(1);
}

/* Bug: the writer's word is believed, though the disk took nothing: it comes to light when the
 * buffer is flushed. */
static void a_disk_that_is_full_is_noticed(void **state)
{
    (void)state;
    struct rlimit before;
    struct error error = {0};
    const char *path = in_folder("report");
    put(path, "older\n");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 4, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool is_written = write_report(path, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(is_written);
    assert_non_null(strstr(error.message, strerror(EFBIG)));
    assert_file(path, "older\n");
    assert_files(1);
}

/* Bug: a link becomes a file, and what it led to stays as it was. */
static void a_link_stays_a_link(void **state)
{
    (void)state;
    char target[8];
    const char *path = in_folder("link");
    put(in_folder("report"), "older\n");
    assert_int_equal(symlink("report", path), 0);
    written(path);
    assert_int_equal(readlink(path, target, sizeof target), 6);
    assert_file(in_folder("report"), "the report\n");
    assert_files(2);
}

/* The same where what it leads to is not there yet. */
static void a_link_that_leads_nowhere_yet_stays_a_link(void **state)
{
    (void)state;
    static const char *const targets[] = {"later", "sub/later", NULL};
    for (int i = 0; i < 3; i++) {
        char target[200];
        struct stat status;
        begin(NULL);
        assert_int_equal(mkdir(in_folder("sub"), 0755), 0);
        const char *where = targets[i] != NULL ? targets[i] : in_folder("absolute");
        const char *path = in_folder("link");
        assert_int_equal(symlink(where, path), 0);
        written(path);
        assert_int_equal(lstat(path, &status), 0);
        assert_true(S_ISLNK(status.st_mode));
        assert_true(readlink(path, target, sizeof target) > 0);
        assert_file(path, "the report\n");
        written(path); /* now it leads to a file */
        assert_file(path, "the report\n");
        assert_files(i == 1 ? 2 : 3);
    }
}

static void links_in_a_circle_are_refused(void **state)
{
    (void)state;
    const char *path = in_folder("a");
    assert_int_equal(symlink("b", path), 0);
    assert_int_equal(symlink("a", in_folder("b")), 0);
    refused(path, path, ELOOP);
    assert_files(2);
    path = in_folder("gone");
    assert_int_equal(symlink("no/such/folder", path), 0);
    refused(path, in_folder("no/such/folder"), ENOENT); /* what is missing */
    assert_files(3);
}

static void *read_pipe(void *owner)
{
    char *text = owner;
    FILE *stream = fopen(in_folder("pipe"), "re");
    text[fread(text, 1, 99, stream)] = '\0';
    fclose(stream);
    return NULL;
}

/* Bug: a pipe that somebody reads from becomes a file. */
static void a_pipe_is_written_to_as_it_is(void **state)
{
    (void)state;
    char text[100];
    pthread_t reader;
    struct stat status;
    const char *path = in_folder("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_pipe, text), 0);
    written(path);
    pthread_join(reader, NULL);
    assert_string_equal(text, "the report\n");
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
}

/* The same of a device: a terminal's, whose folder takes no file that could replace it, whatever is
 * wrong with us. */
static void a_device_is_written_to_as_it_is(void **state)
{
    (void)state;
    char text[100] = "";
    struct stat status;
    int controller = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(controller >= 0 && grantpt(controller) == 0 && unlockpt(controller) == 0);
    const char *path = ptsname(controller);
    int terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC); /* so that it keeps what is written */
    written(path);
    assert_true(read(controller, text, sizeof text - 1) > 0);
    assert_string_equal(text, "the report\r\n");
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    close(terminal);
    close(controller);
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    const char *path = in_folder("no/such/folder");
    char long_name[400];
    refused(path, path, ENOENT);
    refused(folder, folder, EISDIR);
    put(in_folder("file"), "x");
    path = in_folder("file/below");
    refused(path, path, ENOTDIR);
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    refused(long_name, long_name, ENAMETOOLONG);
    if (geteuid() != 0) { /* root may write everywhere */
        assert_int_equal(chmod(folder, 0500), 0);
        path = in_folder("new");
        struct error error;
        bool is_written = write_report(path, &error);
        assert_int_equal(chmod(folder, 0700), 0);
        assert_false(is_written);
    }
}

/* Bug: another's temporary file of the same name (of a process that was killed) is written over, or
 * stops every report. */
static void a_temporary_file_that_is_there_is_another_ones(void **state)
{
    (void)state;
    char name[60];
    char path[128];
    snprintf(path, sizeof path, "%s", in_folder("report"));
    snprintf(name, sizeof name, "report.%ld-0.tmp", (long)getpid());
    put(in_folder(name), "another's");
    written(path);
    assert_file(path, "the report\n");
    assert_file(in_folder(name), "another's");
    assert_files(2);
    for (int i = 1; i < 100; i++) {
        snprintf(name, sizeof name, "report.%ld-%d.tmp", (long)getpid(), i);
        put(in_folder(name), "another's");
    }
    refused(path, path, EEXIST);
}

/* Bug: stdout is closed after the first report, so that a second one fails. */
static void stdout_is_written_to_and_stays_open(void **state)
{
    (void)state;
    struct error error = {0};
    const char *path = in_folder("stdout");
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    dup2(file, STDOUT_FILENO);
    bool are_written = write_report(NULL, &error) && write_report("-", &error);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    dup2(full, STDOUT_FILENO);
    bool is_full_written = write_report("-", &error);
    clearerr(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(file);
    close(full);
    assert_true(are_written);
    assert_file(path, "the report\nthe report\n");
    assert_false(is_full_written);
    assert_string_equal(error.place, "stdout");
    assert_files(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_file_and_a_replaced_one, begin),
        cmocka_unit_test_setup(what_fails_leaves_what_was_there, begin),
        cmocka_unit_test_setup(a_disk_that_is_full_is_noticed, begin),
        cmocka_unit_test_setup(a_link_stays_a_link, begin),
        cmocka_unit_test_setup(a_link_that_leads_nowhere_yet_stays_a_link, begin),
        cmocka_unit_test_setup(links_in_a_circle_are_refused, begin),
        cmocka_unit_test_setup(a_pipe_is_written_to_as_it_is, begin),
        cmocka_unit_test_setup(a_device_is_written_to_as_it_is, begin),
        cmocka_unit_test_setup(what_cannot_be_written_is_refused, begin),
        cmocka_unit_test_setup(a_temporary_file_that_is_there_is_another_ones, begin),
        cmocka_unit_test_setup(stdout_is_written_to_and_stays_open, begin),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
