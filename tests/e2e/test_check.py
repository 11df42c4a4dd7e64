"""`toomany check`: its options, how it ends, and what it says when it could not be carried out."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from toomany import (PATIENCE_S, TOOMANY, client, environment, run, scenario, start, wait_until,
                     write_scenario)

PASSES = scenario({"requests": 1}) | {"name": "passes"}
FAILS = scenario({"requests": 1, "outcome": "raises"}) | {"name": "fails"}
CURL = ["sh", "-c", 'curl -s -o answer.json -H "Authorization: Bearer $OPENAI_API_KEY" '
        '-H "Content-Type: application/json" "$OPENAI_BASE_URL/chat/completions" '
        '-d "{\\"model\\": \\"$OPENAI_FINE_TUNED_MODEL\\", \\"messages\\": '
        '[{\\"role\\": \\"user\\", \\"content\\": \\"Hello\\"}]}"']


@pytest.fixture
def folder(tmp_path):
    """A folder with a scenario that passes and one that fails, for one request that is served."""
    write_scenario(tmp_path, PASSES, "1-passes.json")
    write_scenario(tmp_path, FAILS, "2-fails.json")
    (tmp_path / "not-a-scenario.txt").write_text("{")
    (tmp_path / "scenario.schema.json").write_text("{}")
    return tmp_path


def check(folder, *arguments, command=CURL, **more):
    return run("check", *arguments, *(["--", *command] if command else []), cwd=folder, **more)


def report(folder, *arguments, **more):
    return json.loads(check(folder, "--report", "json", *arguments, **more).stdout)


def names(report):
    return [result["name"] for result in report["scenarios"]]


# ---- what is run ----

def test_files_and_folders_in_the_order_given(folder):
    seen = report(folder, "2-fails.json", ".", "1-passes.json")
    assert names(seen) == ["fails", "passes", "fails", "passes"]
    assert [result["file"] for result in seen["scenarios"]] == [
        "2-fails.json", "./1-passes.json", "./2-fails.json", "1-passes.json"]


def test_command_after_the_dashes_replaces_the_scenarios_own(folder):
    own = report(folder, "1-passes.json", command=None)["scenarios"][0]
    assert own["command"] == "true" and not own["passed"]
    theirs = report(folder, "1-passes.json", command=[*CURL, "--report", "an argument's"])
    assert theirs["scenarios"][0]["passed"]
    assert theirs["scenarios"][0]["command"].endswith(" --report 'an argument'\\''s'")


def test_client_finds_the_server_in_its_environment(folder):
    (folder / "env.json").write_text(json.dumps(
        scenario({"requests": 0, "stdout_matches": ["^OPENAI_BASE_URL=http://127\\.0\\.0\\.1:[0-9]+/v1$",
                                                    "^OPENAI_API_KEY=.+$", "^OPENAI_FINE_TUNED_MODEL=of-ours$",
                                                    "^MORE=as the scenario says$", "^HOME=", "^NO_PROXY=.*127"]},
                 command=["env"],
                 env={"OPENAI_FINE_TUNED_MODEL": "of-ours", "MORE": "as the scenario says"})))
    assert report(folder, "env.json", command=None)["passed"]


def test_directory_is_seen_from_the_scenarios_file(folder):
    (folder / "programs").mkdir()
    program = folder / "programs" / "where"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    write_scenario(folder / "programs", scenario(
        {"requests": 0, "stdout_matches": f"^{folder}/programs$"}, command=["./where"], directory="."))
    assert report(folder.parent, f"{folder.name}/programs/scenario.json", command=None)["passed"]


def test_repeat_gives_each_repetition_a_seed(folder):
    seen = report(folder, "--repeat", 3, "--seed", 7, ".")
    assert [(result["name"], result["repetition"], result["seed"])
            for result in seen["scenarios"]] == [
        ("passes", 1, 7), ("passes", 2, 8), ("passes", 3, 9),
        ("fails", 1, 7), ("fails", 2, 8), ("fails", 3, 9)]


def test_largest_seed_is_kept_to_the_last_digit(folder):
    finished = check(folder, "--report", "json", "--seed", 2**64 - 1, "1-passes.json")
    assert f'"seed":\t{2**64 - 1},' in finished.stdout


def test_jobs_run_side_by_side_and_report_in_order(tmp_path):
    """Each of four clients waits until all four are there: one after another, none would pass."""
    for number in range(4):
        meet = (f"touch {tmp_path}/{number}; until [ -e {tmp_path}/0 ] && [ -e {tmp_path}/1 ] && "
                f"[ -e {tmp_path}/2 ] && [ -e {tmp_path}/3 ]; do sleep 0.02; done")
        write_scenario(tmp_path, scenario({"requests": 0, "exit_code": 0}, command=["sh", "-c", meet])
                       | {"name": str(number)}, f"{number}.json")
    seen = report(tmp_path, "--jobs", 4, ".", command=None)
    assert seen["passed"] and names(seen) == ["0", "1", "2", "3"]


def test_jobs_keep_the_scenarios_apart(tmp_path):
    """Each has a server of its own: nobody's requests are counted with another's."""
    for number in range(1, 9):
        write_scenario(tmp_path, scenario(
            {"requests": number, "calls": number},
            command=["sh", "-c", f"for i in $(seq {number}); do {CURL[2]} ; done"])
            | {"name": str(number)}, f"{number}.json")
    seen = report(tmp_path, "--jobs", 8, ".", command=None)
    # Equal bodies one after the other, each served: each is a call.
    assert [result["requests"] for result in seen["scenarios"]] == list(range(1, 9))
    assert seen["passed"]


# ---- how it ends ----

def test_exit_0_when_all_held(folder):
    finished = check(folder, "1-passes.json")
    assert finished.returncode == 0 and finished.stderr == ""
    assert finished.stdout.endswith("1 passed, 0 failed\n")


def test_exit_1_when_an_expectation_did_not_hold(folder):
    finished = check(folder, ".")
    assert finished.returncode == 1 and finished.stderr == ""
    assert finished.stdout.endswith("1 passed, 1 failed\n")


USAGE = {
    "no scenario": ([], "a scenario is missing (a file or a folder of them)\n"
                        "Try `toomany check --help`.\n"),
    "unknown option": (["--bogus", "1-passes.json"], None),
    "option without value": (["1-passes.json", "--jobs"], None),
    "no command": (["1-passes.json", "--"], "a command is missing after --\n"
                                            "Try `toomany check --help`.\n"),
    "program without --": (["1-passes.json", "python3", "x.py"],
                           "python3: no such file; a program to check stands behind --\n"),
    "jobs": (["--jobs", "0", "1-passes.json"], '--jobs: found "0", wanted a whole number from 1 to '),
    "jobs as a word": (["--jobs", "many", "1-passes.json"], '--jobs: found "many", wanted '),
    "repeat": (["--repeat", "-1", "1-passes.json"],
               '--repeat: found "-1", wanted a whole number from 1 to 10000\n'),
    "seed": (["--seed", "-1", "1-passes.json"],
             '--seed: found "-1", wanted a whole number from 0 to 2^64-1\n'),
    "seed too large": (["--seed", str(2**64), "1-passes.json"], f'--seed: found "{2**64}", wanted '),
    "report kind": (["--report", "pdf", "1-passes.json"],
                    '--report: there is no kind "pdf", only text, json, junit, tap, html, github\n'),
    "report without file": (["--report", "json=", "1-passes.json"],
                            "--report json=: a file name is missing\n"),
    "known failing, missing": (["--known-failing", "gone.txt", "1-passes.json"],
                               "gone.txt: No such file or directory\n"),
}


@pytest.mark.parametrize("name", USAGE)
def test_exit_2_for_wrong_usage(folder, name):
    arguments, message = USAGE[name]
    finished = check(folder, *arguments, command=None)
    assert finished.returncode == 2, finished
    assert finished.stdout == ""
    if message is not None and message.endswith("\n"):
        assert finished.stderr == "toomany check: " + message
    elif message is not None:
        assert finished.stderr.startswith("toomany check: " + message)
    else:
        assert finished.stderr.endswith("\nTry `toomany check --help`.\n")


@pytest.mark.parametrize("arguments, status, stream, text", [
    ([], 2, "stderr", "Usage: toomany COMMAND"),
    (["--help"], 0, "stdout", "Usage: toomany COMMAND"),
    (["--version"], 0, "stdout", "toomany "),
    (["judge"], 2, "stderr", 'there is no command "judge"; see `toomany --help`'),
    *[([command, "--help"], 0, "stdout", f"Usage: toomany {command} ")
      for command in ("check", "serve", "call", "demo")],
])
def test_help_and_unknown_commands(arguments, status, stream, text):
    finished = run(*arguments)
    assert finished.returncode == status
    assert text in getattr(finished, stream)
    other = finished.stdout if stream == "stderr" else finished.stderr
    assert other == ""


@pytest.mark.parametrize("command", ["check", "serve", "call", "demo"])
def test_help_fits_a_screen_and_shows_an_example(command):
    lines = run(command, "--help").stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    assert any("xample" in line for line in lines)


NOT_RUN = {
    "command not found": (dict(command=["no-such-program-of-ours"]),
                          "no-such-program-of-ours: command not found; install it, or name it "
                          "with its path if it is not in PATH"),
    "path not found": (dict(command=["./gone"]),
                       "./gone: no such file; give its path as seen from there, or a command "
                       "that is in PATH"),
    "not executable": (dict(command=["./plain"]),
                       "./plain: not executable; do `chmod +x ./plain`, or name its interpreter "
                       'first ("python3", "./plain")'),
    "a directory": (dict(command=["./folder"]), "./folder: is a directory, wanted a program"),
    "no interpreter": (dict(command=["./lost"]),
                       "./lost: the interpreter that its first line (#!) names, or its loader, is "
                       "not there; install that or correct the line"),
    "no program": (dict(command=["./empty"]),
                   "./empty: neither a program for this machine nor a script with a first line "
                   '#!; name its interpreter first ("sh", "./empty")'),
    "no directory": (dict(command=["true"], directory="gone"),
                     "./gone: no such directory; a client is to be started there"),
    "not a directory": (dict(command=["true"], directory="plain"), "./plain: Not a directory"),
    "arguments too long": (dict(command=["true", "x" * 200_000]),
                           "true: the arguments and the environment are too long together"),
}


@pytest.mark.parametrize("name", NOT_RUN)
def test_exit_3_when_the_client_could_not_be_started(tmp_path, name):
    more, message = NOT_RUN[name]
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "folder").mkdir()
    for file, text in {"lost": "#!/no/such/interpreter\n", "empty": "no program\n"}.items():
        (tmp_path / file).write_text(text)
        (tmp_path / file).chmod(0o755)
    write_scenario(tmp_path, scenario({"requests": 0}, **more))
    # Of a folder in PATH that may not be read nobody knows what is in it.
    path = {"PATH": "/usr/bin:/bin"}
    finished = check(tmp_path, "--report", "json", "scenario.json", command=None, env=path)
    assert finished.returncode == 3, finished
    result, = json.loads(finished.stdout)["scenarios"]
    assert result["error"] == message
    assert (result["state"], result["passed"]) == ("could not run", False)
    text = check(tmp_path, "scenario.json", command=None)
    assert text.returncode == 3
    assert "0 passed, 0 failed, 1 could not run" in text.stdout


def test_one_that_could_not_run_does_not_keep_the_others(tmp_path):
    write_scenario(tmp_path, scenario({"requests": 0}, command=["no-such-program"]), "1.json")
    write_scenario(tmp_path, scenario({"requests": 0}, command=["true"]), "2.json")
    write_scenario(tmp_path, scenario({"requests": 1}, command=["true"]), "3.json")
    finished = check(tmp_path, "--report", "json", ".", command=None)
    assert finished.returncode == 3
    assert [result["state"] for result in json.loads(finished.stdout)["scenarios"]] == [
        "could not run", "passed", "failed"]


# ---- known failing ----

@pytest.mark.parametrize("listed, status, states", [
    ("# that we mend\n\n  fails  \r\n", 0, ["passed", "known failing"]),
    ("passes\nfails\n", 1, ["passed though known failing", "known failing"]),
    ("passes\n", 1, ["passed though known failing", "failed"]),
    ("", 1, ["passed", "failed"]),
])
def test_known_failing(folder, listed, status, states):
    (folder / "known.txt").write_text(listed)
    finished = check(folder, "--known-failing", "known.txt", "--report", "json", ".")
    assert [result["state"] for result in json.loads(finished.stdout)["scenarios"]] == states
    assert finished.returncode == status


def test_known_failing_says_what_to_do_when_one_passes(folder):
    (folder / "known.txt").write_text("passes\n")
    finished = check(folder, "--known-failing", "known.txt", "1-passes.json")
    assert finished.returncode == 1
    assert "take it off the list" in " ".join(finished.stdout.split())


def test_known_failing_refuses_a_name_that_is_not_run(folder):
    (folder / "known.txt").write_text("fails\nfailz\n")
    finished = check(folder, "--known-failing", "known.txt", ".")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        'toomany check: known.txt: "failz" is none of the scenarios that are run; remove the line, '
        "or write the scenario's name as it stands in its file\n")


def test_known_failing_does_not_hide_what_could_not_run(folder):
    (folder / "known.txt").write_text("fails\n")
    finished = check(folder, "--known-failing", "known.txt", "2-fails.json",
                     command=["no-such-program"])
    assert finished.returncode == 3


# ---- reports that cannot be written ----

@pytest.mark.parametrize("path, reason", [
    ("gone/report.xml", "No such file or directory; make its folder first"),
    (".", "Is a directory"),
    ("1-passes.json/report.xml", "Not a directory"),
])
def test_exit_3_before_a_run_whose_report_cannot_be_written(folder, path, reason):
    """Bug: the run is over when one learns that its report is lost."""
    finished = check(folder, "--report", f"junit={path}", "--report", "json=report.json",
                     "1-passes.json")
    assert (finished.returncode, finished.stdout) == (3, "")
    assert finished.stderr == (
        f"toomany check: {path}: the report could not be written: {reason}\n")
    assert not (folder / "report.json").exists()


def test_exit_3_when_a_report_cannot_be_written_and_the_others_are(folder):
    finished = check(folder, "--report", "junit=/dev/full", "--report", "json=report.json",
                     "--report", "text", "1-passes.json")
    assert finished.returncode == 3
    assert finished.stderr == ("toomany check: /dev/full: the report could not be written: "
                               "No space left on device\n")
    assert json.loads((folder / "report.json").read_text())["passed"]
    assert finished.stdout.endswith("1 passed, 0 failed\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_exit_3_when_the_folder_of_a_report_may_not_be_written(folder):
    (folder / "locked").mkdir(mode=0o555)
    finished = check(folder, "--report", "json=locked/report.json", "1-passes.json")
    assert finished.returncode == 3
    assert "locked/report.json: the report could not be written: Permission denied" in finished.stderr


@pytest.mark.parametrize("kind", ["text", "json", "junit", "tap", "html", "github"])
def test_exit_3_when_stdout_is_full(folder, kind):
    with open("/dev/full", "w") as full:
        finished = check(folder, "--report", kind, "2-fails.json", stdout=full)
    assert finished.returncode == 3
    assert finished.stderr.startswith("toomany check: stdout: the report could not be written")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_exit_3_when_stdout_is_closed(folder, kind):
    arguments = ["--report", kind, "--report", "json=report.json", "1-passes.json"]
    finished = check(folder, *arguments, stdout=None, preexec_fn=lambda: os.close(1))
    assert finished.returncode == 3
    assert finished.stderr.startswith("toomany check: stdout: the report could not be written")
    assert json.loads((folder / "report.json").read_text())["passed"]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_exit_3_when_nobody_reads_stdout(folder, kind):
    reader, writer = os.pipe()
    os.close(reader)
    finished = check(folder, "--report", kind, "1-passes.json", stdout=writer)
    os.close(writer)
    assert finished.returncode == 3
    assert finished.stderr.startswith("toomany check: stdout: the report could not be written")


def test_all_three_streams_closed(folder):
    finished = check(folder, "--report", "json=report.json", "--report", "tap=report.tap",
                     "1-passes.json", stdout=None,
                     preexec_fn=lambda: [os.close(number) for number in range(3)])
    assert finished.returncode == 3
    assert json.loads((folder / "report.json").read_text())["passed"]


def test_report_replaces_a_file_in_one_step(folder):
    (folder / "report.json").write_text("old")
    (folder / "link.json").symlink_to("report.json")
    assert check(folder, "--report", "json=link.json", "1-passes.json").returncode == 0
    assert (folder / "link.json").is_symlink()
    assert json.loads((folder / "report.json").read_text())["passed"]
    assert [path.name for path in folder.glob("*.tmp")] == []


# ---- signals ----

def is_running(command_line):
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().rstrip(b"\0").replace(b"\0", b" ") == command_line.encode():
                return True
    return False


def is_caught(pid, number):
    """Whether the process has a handler for the signal: ours is for the first one only."""
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        mask, = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return int(mask, 16) >> (number - 1) & 1 == 1


def stopped(folder, number, reports, times=1):
    """Starts a check, sends it the signal once the client has begun, and waits for its end."""
    process = start("check", "--time", "real",
                    *[f"--report={kind}=report.{kind}" for kind in reports],
                    "1.json", "2.json", "3.json", cwd=folder)
    wait_until((folder / "started").exists, "the client starts")
    sent = time.monotonic()
    process.send_signal(number)
    if times == 2:
        process.send_signal(signal.SIGSTOP)  # the second that the client has does not pass meanwhile
        try:
            wait_until(lambda: not is_caught(process.pid, number), "the signal is handled")
            process.send_signal(number)
        finally:
            process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, output, errors, time.monotonic() - sent


@pytest.fixture
def long_run(tmp_path):
    """The first passes, the second would run for a minute, the third is not reached."""
    write_scenario(tmp_path, scenario({"requests": 0}, command=["true"]) | {"name": "first"},
                   "1.json")
    write_scenario(tmp_path, scenario(
        {"requests": 0}, command=["sh", "-c", f"touch {tmp_path}/started; sleep 60"])
        | {"name": "second"}, "2.json")
    write_scenario(tmp_path, scenario({"requests": 0}, command=["true"]) | {"name": "third"},
                   "3.json")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_and_every_report_is_written(long_run, number):
    kinds = ["text", "json", "junit", "tap", "html", "github"]
    status, output, errors, _ = stopped(long_run, number, kinds)
    assert status == 3, errors
    assert "stopped" in output
    for kind in kinds:
        text = (long_run / f"report.{kind}").read_text()
        assert "stopped" in text, kind
        assert kind == "github" or "first" in text, kind
    seen = json.loads((long_run / "report.json").read_text())
    assert seen["interrupted"] and not seen["passed"]
    assert [(result["name"], result["state"]) for result in seen["scenarios"]] == [
        ("first", "passed"), ("second", "stopped")]
    assert not [verdict for verdict in seen["scenarios"][1]["verdicts"]
                if verdict["expectation"] == "not_killed" and not verdict["held"]]


def test_signal_reaches_all_jobs(tmp_path):
    for number in (1, 2, 3):
        write_scenario(tmp_path, scenario(
            {"requests": 0}, command=["sh", "-c", f"touch {tmp_path}/{number}; sleep 60"])
            | {"name": str(number)}, f"{number}.json")
    process = start("check", "--time", "real", "--jobs", "3", "--report", "json", *[f"{n}.json" for n in (1, 2, 3)],
                    cwd=tmp_path)
    wait_until(lambda: all((tmp_path / str(number)).exists() for number in (1, 2, 3)),
               "three clients start")
    process.terminate()
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert [result["state"] for result in json.loads(output)["scenarios"]] == ["stopped"] * 3


def test_client_that_ignores_the_signal_is_killed(long_run):
    write_scenario(long_run, scenario(
        {"requests": 0}, command=["sh", "-c", f"trap '' TERM; touch {long_run}/started; sleep 60"]),
        "2.json")
    status, _, _, took_s = stopped(long_run, signal.SIGTERM, ["json"])
    assert status == 3
    assert took_s < 30  # SIGKILL comes after a second


def test_second_signal_ends_at_once(long_run):
    """By then the client holds on: only the second signal can end the check before its second is
    over, and the client does not outlive it."""
    mark = f"61.{os.getpid()}"
    write_scenario(long_run, scenario(
        {"requests": 0},
        command=["sh", "-c", f"trap '' TERM; touch {long_run}/started; exec sleep {mark}"]),
        "2.json")
    status, _, _, _ = stopped(long_run, signal.SIGTERM, ["json"], times=2)
    assert status == -signal.SIGTERM
    assert not (long_run / "report.json").exists()
    wait_until(lambda: not is_running(f"sleep {mark}"), "the client ends with the check")


def test_check_itself_killed_takes_the_client_with_it(long_run):
    mark = f"62.{os.getpid()}"
    write_scenario(long_run, scenario(
        {"requests": 0}, command=["sh", "-c", f"touch {long_run}/started; exec sleep {mark}"]),
        "2.json")
    status, _, _, _ = stopped(long_run, signal.SIGKILL, [])
    assert status == -signal.SIGKILL
    wait_until(lambda: not is_running(f"sleep {mark}"), "the client ends with the check")


# ---- what may disturb a run ----

def test_proxy_of_the_machine_is_not_asked(tmp_path):
    """Nothing listens at the proxy: a client that asked it would not come through."""
    proxies = {name: "http://127.0.0.1:9" for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY")}
    write_scenario(tmp_path, PASSES)
    finished = check(tmp_path, "scenario.json", env=proxies)
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("carrier", ["trace", "preload"])
def test_few_descriptors_are_an_error_with_a_remedy_and_no_crash(carrier, tmp_path):
    write_scenario(tmp_path, PASSES)
    seen = set()
    # In a sanitizer's build the search for leaks needs descriptors of its own, and hangs.
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    for limit in range(4, 24):
        finished = subprocess.run(
            ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", str(TOOMANY), "check",
             "--carrier", carrier, "--repeat", "2", "scenario.json", "--", *client("right")],
            cwd=tmp_path, env=environment(ASAN_OPTIONS=options), capture_output=True, text=True,
            timeout=PATIENCE_S)
        seen.add(finished.returncode)
        assert finished.returncode in (0, 2, 3), (limit, finished)
        if finished.returncode:
            said = " ".join((finished.stdout + finished.stderr).split())
            assert "ulimit -n" in said, (limit, finished)
            assert " passed" not in said or "0 passed" in said, "the first has changed the second"
    assert seen >= {0, 3}
