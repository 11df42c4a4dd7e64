"""`toomany run`: its options, what becomes of the program, and of its exit status. How time passes
for programs is in tests/virtual/."""

import signal
import subprocess
import sys
import time

import pytest
from toomany import PATIENCE_S, run, start, wait_until

VIRTUAL = run("run", "--time", "virtual", "--", "true").returncode == 0
needs_virtual = pytest.mark.skipif(not VIRTUAL, reason="virtual time cannot be had here")

# Both: the program takes the place of `toomany run`, or is carried by it.
both_times = pytest.mark.parametrize(
    "kind", ["real", pytest.param("virtual", marks=needs_virtual)])


def test_help_goes_to_stdout():
    finished = run("run", "--help")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith("Usage: toomany run ")


@pytest.mark.parametrize("arguments, message", [
    ([], "toomany run: a command is missing, as in `toomany run -- sleep 600`\n"),
    (["--summary", "--"], "toomany run: a command is missing"),
    (["--time", "fast", "--", "true"], "fast"),
    (["--carrier", "horse", "--", "true"], "horse"),
    (["--no-such-option", "--", "true"], "--no-such-option"),
    (["--time"], "--time"),
])
def test_wrong_usage_is_2(arguments, message):
    finished = run("run", *arguments)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert message in finished.stderr


@both_times
def test_the_programs_own_options_are_its_own(kind):
    """Bug: what stands behind the command is read as an option of `run`."""
    finished = run("run", "--time", kind, "echo", "--summary", "--time", "x")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "--summary --time x\n", "")


@both_times
def test_exit_status_and_streams_are_the_programs(kind):
    finished = run("run", "--time", kind, "--", "sh", "-c", "cat; echo told >&2; exit 7", input="x")
    assert (finished.returncode, finished.stdout, finished.stderr) == (7, "x", "told\n")


@needs_virtual
def test_a_signal_is_128_and_its_number():
    finished = run("run", "--time", "virtual", "--", "sh", "-c", "kill -9 $$")
    assert finished.returncode == 128 + 9
    # In real time the program has taken our place: whoever waits sees the signal itself.
    assert run("run", "--time", "real", "--", "sh", "-c", "kill -9 $$").returncode == -9


@both_times
def test_what_cannot_be_started_is_3(kind, tmp_path):
    finished = run("run", "--time", kind, "--", "no-such-program-at-all")
    assert finished.returncode == 3
    assert finished.stderr == "toomany run: no-such-program-at-all: command not found\n"
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    finished = run("run", "--time", kind, "--", plain)
    assert finished.returncode == 3
    assert finished.stderr == f"toomany run: {plain}: Permission denied\n"


@both_times
def test_sigpipe_ends_the_program(kind):
    """Bug: SIGPIPE is ignored, as whoever starts us may do, and `yes | head` complains."""
    finished = run("run", "--time", kind, "--", "sh", "-c", "yes | head -n 1",
                   restore_signals=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "y\n", "")


@needs_virtual
def test_summary_says_how_much_time_passed():
    started = time.monotonic()
    finished = run("run", "--time", "virtual", "--summary", "--", "sleep", "36000")
    assert finished.returncode == 0
    assert "toomany run: 10h0m0s passed for the program, in " in finished.stderr
    assert time.monotonic() - started < 3600


@needs_virtual
def test_the_log_of_the_clock_is_appended_to(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    finished = run("run", "--time", "virtual", "--", "sleep", "5",
                   env={"TOOMANY_CLOCK_LOG": str(log)})
    assert finished.returncode == 0, finished.stderr
    lines = log.read_text().splitlines()
    assert lines[0] == "before" and len(lines) >= 2
    finished = run("run", "--time", "virtual", "--", "echo", "never",
                   env={"TOOMANY_CLOCK_LOG": str(tmp_path / "gone" / "log")})
    assert (finished.returncode, finished.stdout) == (3, "")
    assert "TOOMANY_CLOCK_LOG: No such file or directory" in finished.stderr


# Python runs a handler before it goes on, but a signal that comes just before a wait does not end
# the wait: the byte that arrives with it does.
HANDLER = """
import select, signal, socket, sys
arrived, arrive = socket.socketpair()
arrive.setblocking(False)
signal.set_wakeup_fd(arrive.fileno())
def ended(number, frame):
    print("got", number, flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGINT, ended)
print("ready", flush=True)
select.select([arrived, sys.stdin], [], [])
"""


@both_times
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_go_on_to_the_program(kind, number):
    """Bug: who ends `toomany run` leaves the program, or the program cannot clean up."""
    process = start("run", "--time", kind, "--", sys.executable, "-c", HANDLER,
                    stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        process.wait(PATIENCE_S)  # before its input is closed, which would end it, too
        output, errors = process.communicate()
        assert (process.returncode, output, errors) == (5, f"got {int(number)}\n", "")
    finally:
        if process.poll() is None:
            process.kill()


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@needs_virtual
@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_nothing_is_left_behind(number):
    """Bug: a daemon of the program, or the program itself when we are killed, goes on without anybody
    who moves its clock."""
    process = start("run", "--time", "virtual", "--", "sh", "-c",
                    "cat </dev/zero >/dev/null & echo $! $$; read -r line", stdin=subprocess.PIPE)
    try:
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2 and all(map(is_running, pids))
        if number is None:
            process.communicate("end\n", timeout=PATIENCE_S)
            assert process.returncode == 0
        else:
            process.send_signal(number)
        wait_until(lambda: not any(map(is_running, pids)), "all end")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
