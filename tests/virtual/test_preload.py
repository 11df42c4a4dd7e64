"""Virtual time by a preloaded library, for machines on which programs may not be traced.

TOOMANY_RUNS says how often each client waits; 3, or 100 for the long run.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import test_backoff  # noqa: E402
from test_backoff import (BACKOFFS, BY_LENGTH, COMMANDS, EXACT, LONGEST_S, RUNS,  # noqa: E402
                          check, many_calls, runs_of, write_scenario)
from toomany import BUILD, TOOMANY, environment  # noqa: E402

PRELOAD = HERE / "preload"
PATIENCE_S = 120

# The kernel's own SIGALRM says that it comes from the kernel; nobody else's can.
EXCEPTIONS = {"interval_timers": {"from the kernel: 1"}}
PROGRAMS = sorted([*(HERE / "programs").glob("*.c"), *PRELOAD.glob("*.c")])
CLIENTS = [name for name in COMMANDS if name != "go"]  # it is static


def build(tmp_path, source, *options):
    program = tmp_path / source.stem
    subprocess.run(["cc", "-D_GNU_SOURCE", "-O1", *options, "-o", str(program), str(source),
                    "-lpthread", "-lrt"], check=True)
    return program


def run_preloaded(*command, **more):
    """What the program printed, and what was said of the time."""
    done = subprocess.run([str(PRELOAD / "run.sh"), str(TOOMANY), *map(str, command)],
                          env=environment(**more), text=True, capture_output=True,
                          timeout=PATIENCE_S)
    return done.stdout, done.stderr


def run_really(program):
    done = subprocess.run([str(program)], env=environment(), text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_S)
    return f"{done.stdout}exit status {done.returncode}\n"


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda source: source.stem)
def test_programs_behave_as_without(source, tmp_path):
    """The same lines as in real time, and each time exact to the nanosecond."""
    program = build(tmp_path, source)
    carried, said = run_preloaded(program, EXACT="1")
    assert "instead of" not in carried
    exceptions = EXCEPTIONS.get(source.stem, set())
    # On a loaded machine it is real time that is late, and a time-out comes before an event.
    for _ in range(5):
        missing = set(run_really(program).splitlines()) - set(carried.splitlines()) - exceptions
        if not missing:
            return
    pytest.fail(f"missing: {missing}\n{carried}{said}")


def test_no_time_passes_while_somebody_works(tmp_path):
    program = build(tmp_path, HERE / "soundness.c")
    handoffs = os.environ.get("TOOMANY_HANDOFFS", "10000")
    carried, said = run_preloaded(program, handoffs, EXACT="1")
    assert "elapsed: 0 ns" in carried, carried + said
    assert "exit status 0" in carried


@pytest.mark.parametrize("backoff", BY_LENGTH)
@pytest.mark.parametrize("client", CLIENTS)
def test_delays_are_exact(client, backoff, tmp_path):
    make_command, tolerance = COMMANDS[client]
    most = LONGEST_S.get(client, 10**9)
    waits = [wait for wait in BACKOFFS[backoff] if wait <= most]
    if not waits:
        pytest.skip(f"it does not wait longer than {most} s")
    scenario = write_scenario(tmp_path, waits, tolerance)
    said = check(scenario, make_command(tmp_path), "--carrier", "preload", "--verbose",
                 "--repeat", str(runs_of(client, backoff)))
    assert "by preloading" in said


def test_many_threads(tmp_path):
    check(many_calls(tmp_path, 200),
          [sys.executable, str(test_backoff.CLIENTS / "many_threads.py"), "200"],
          "--carrier", "preload")


def test_many_tasks(tmp_path):
    check(write_scenario(tmp_path, BACKOFFS["127s"], EXACT),
          [sys.executable, str(test_backoff.CLIENTS / "many_tasks.py"), "1000"],
          "--carrier", "preload")


@pytest.mark.parametrize("jobs", [1, 4])
def test_delays_are_exact_on_a_loaded_machine(jobs, tmp_path):
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
               for _ in range(os.cpu_count() or 1)]
    try:
        for client in ("python", "curl", "python-threads"):
            make_command, tolerance = COMMANDS[client]
            scenario = write_scenario(tmp_path, BACKOFFS["127s"], tolerance)
            check(scenario, make_command(tmp_path), "--carrier", "preload",
                  "--repeat", str(max(RUNS, jobs)), "--jobs", str(jobs))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def falls_back(tmp_path, command, carrier="preload"):
    """The note of a run that had to go on in real time."""
    scenario = write_scenario(tmp_path, [1], "10s", expect={"exit_code": 0})
    done = subprocess.run(
        [str(TOOMANY), "check", "--carrier", carrier, "--verbose", str(scenario), "--", *command],
        env=environment(), text=True, capture_output=True, timeout=PATIENCE_S)
    return re.sub(r"\s+", " ", done.stdout)


def test_a_static_program_runs_in_real_time(tmp_path):
    source = tmp_path / "static.c"
    source.write_text("#include <unistd.h>\nint main(void) { sleep(1); return 0; }\n")
    program = build(tmp_path, source, "-static")
    assert "a static program, which loads no library" in falls_back(tmp_path, [str(program)])


def test_a_bare_system_call_runs_in_real_time(tmp_path):
    source = tmp_path / "bare.c"
    source.write_text("""
#include <sys/syscall.h>
#include <time.h>
int main(void)
{
    struct timespec second = {.tv_sec = 1};
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_nanosleep), "D"(&second), "S"(0)
                     : "rcx", "r11", "memory");
    return (int)result;
}
""")
    program = build(tmp_path, source)
    assert "does not go through libc" in falls_back(tmp_path, [str(program)])


@pytest.mark.parametrize("carrier", ["trace", "preload"])
def test_traffic_elsewhere_runs_in_real_time(carrier, tmp_path):
    source = tmp_path / "elsewhere.py"
    source.write_text("import socket\n"
                      "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                      "s.connect(('192.0.2.1', 9))\n"
                      "import time; time.sleep(0.1)\n")
    said = falls_back(tmp_path, [sys.executable, str(source)], carrier)
    assert "another machine" in said


@pytest.mark.parametrize("carrier", ["trace", "preload"])
def test_a_unix_socket_of_an_outsider_runs_in_real_time(carrier, tmp_path):
    path = str(tmp_path / "socket")
    source = tmp_path / "elsewhere.py"
    source.write_text("import socket, sys\n"
                      "socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
                      "import time; time.sleep(0.1)\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        said = falls_back(tmp_path, [sys.executable, str(source), path], carrier)
    assert "a program of this machine that is not part of the run" in said


def test_virtual_time_that_is_demanded_is_not_given_up(tmp_path):
    source = tmp_path / "static.c"
    source.write_text("#include <unistd.h>\nint main(void) { sleep(1); return 0; }\n")
    program = build(tmp_path, source, "-static")
    scenario = write_scenario(tmp_path, [1], EXACT)
    done = subprocess.run([str(TOOMANY), "check", "--carrier", "preload", "--time", "virtual",
                           str(scenario), "--", str(program)], env=environment(), text=True,
                          capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 3
    assert "--time virtual" in re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_a_program_that_only_looks_at_the_clock_ends():
    carried, said = run_preloaded(sys.executable, "-c",
                                  "import time\nt = time.time() + 2\nwhile time.time() < t: pass")
    assert "exit status 0" in carried
    assert "crept" in re.sub(r"\s+", " ", said)


NO_PTRACE = """
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **arguments)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = 4, .filter = steps};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return count < 2 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 ||
           execv(arguments[1], arguments + 1);
}
"""


def test_it_is_chosen_where_tracing_is_forbidden(tmp_path):
    source = tmp_path / "no_ptrace.c"
    source.write_text(NO_PTRACE)
    forbid = build(tmp_path, source)
    make_command, tolerance = COMMANDS["python"]
    scenario = write_scenario(tmp_path, BACKOFFS["127s"], tolerance)
    for carrier, status, words in (("auto", 0, "by preloading"), ("trace", 3, "ptrace")):
        done = subprocess.run(
            [str(forbid), str(TOOMANY), "check", "--time", "virtual", "--carrier", carrier,
             "--verbose", str(scenario), "--", *make_command(tmp_path)],
            env=environment(), text=True, capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == status, done.stdout + done.stderr
        assert words in done.stdout + done.stderr


def test_nothing_is_left_behind():
    def pages():
        return {path.name for path in pathlib.Path("/dev/shm").glob("toomany-clock-*")}
    before = pages()
    run_preloaded("true")
    mine = {name for name in pages() - before
            if not pathlib.Path(f"/proc/{name.split('-')[2]}").exists()}
    assert mine == set()


def test_the_library_is_found_where_it_was_installed(tmp_path):
    (tmp_path / "bin").mkdir()
    shutil.copy(TOOMANY, tmp_path / "bin" / "toomany")
    done = subprocess.run([str(tmp_path / "bin" / "toomany"), "check", "--carrier", "preload",
                           "--time", "virtual", str(PRELOAD / "nobody_calls.json")],
                          env=environment(), text=True, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 3
    assert "libtoomany-clock.so" in done.stdout + done.stderr
    subprocess.run(["cmake", "--install", str(BUILD), "--prefix", str(tmp_path / "usr")],
                   check=True, capture_output=True)
    done = subprocess.run([str(tmp_path / "usr" / "bin" / "toomany"), "check", "--carrier",
                           "preload", "--time", "virtual", "--verbose",
                           str(PRELOAD / "nobody_calls.json")],
                          env=environment(), text=True, capture_output=True, timeout=PATIENCE_S)
    assert "by preloading" in done.stdout
