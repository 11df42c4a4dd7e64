"""Programs in many languages wait 1+2+4+8+16+32+64 s, an hour and a day between attempts, unmodified
and in no time, and the delays that the judge sees are exact.

TOOMANY_RUNS says how often each waits; 3, or 100 for the long run. A language that this machine does
not have is left out.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLIENTS = HERE / "clients"
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from toomany import TOOMANY, environment  # noqa: E402

RUNS = int(os.environ.get("TOOMANY_RUNS", "3"))
EXACT = "0ns"
NEARLY = "10us"  # where a runtime rounds or adds by itself
BACKOFFS = {"127s": [2**exponent for exponent in range(7)], "1h": [3600], "24h": [86400]}
PATIENCE_S = 900 * max(1, RUNS // 10)


def python_with_sdk():
    for folder in (os.environ.get("TOOMANY_SDK_PYTHON"), ROOT / "examples/python/.venv"):
        python = pathlib.Path(folder or "/nowhere") / "bin" / "python3"
        if python.exists():
            return str(python)
    return pytest.skip("the Python SDK is not installed: script/setup")


def node_folder(tmp_path):
    """ES modules find packages beside themselves only."""
    modules = pathlib.Path(os.environ.get("TOOMANY_SDK_NODE") or
                           ROOT / "examples/node/node_modules")
    if shutil.which("node") is None or not modules.exists():
        pytest.skip("the Node SDK is not installed: script/setup")
    (tmp_path / "node_modules").symlink_to(modules)
    for name in ("sdk.mjs", "fetch.mjs", "worker.mjs"):
        shutil.copy(CLIENTS / name, tmp_path)
    return tmp_path


def build(tmp_path, tool, *arguments):
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"there is no {tool}")
    done = subprocess.run([program, *map(str, arguments)], cwd=tmp_path, text=True,
                          capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


def python(name):
    return lambda tmp_path: [sys.executable, str(CLIENTS / name)]


def python_sdk(name):
    return lambda tmp_path: [python_with_sdk(), str(CLIENTS / name)]


def node(name):
    return lambda tmp_path: ["node", str(node_folder(tmp_path) / name)]


def c(tmp_path):
    build(tmp_path, "cc", "-O1", "-o", "client", CLIENTS / "client.c", "-lcurl")
    return [str(tmp_path / "client")]


def curl(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    return ["sh", "-c", "exec curl -sS --retry 7 --retry-max-time 0 "
            "-H 'Authorization: Bearer sk-test' -H 'Content-Type: application/json' "
            """-d '{"model":"m","messages":[{"role":"user","content":"hi"}]}' """
            '"$OPENAI_BASE_URL/chat/completions"']


def go(tmp_path):
    os.environ["CGO_ENABLED"] = "0"
    build(tmp_path, "go", "build", "-o", "client", CLIENTS / "client.go")
    return [str(tmp_path / "client")]


def rust(tmp_path):
    build(tmp_path, "rustc", "-O", "-o", "client", CLIENTS / "client.rs")
    return [str(tmp_path / "client")]


def java(tmp_path, *options):
    build(tmp_path, "javac", "-d", tmp_path, CLIENTS / "Client.java")
    return ["java", "-XX:+UseSerialGC", *options, "-cp", str(tmp_path), "Client"]


def quiet_java(tmp_path):
    """With the options of docs/virtual-time.md that keep the JVM's own threads from ticking."""
    return java(tmp_path, "-XX:-UsePerfData", "-XX:+UnlockDiagnosticVMOptions",
                "-XX:GuaranteedSafepointInterval=0", "-XX:AsyncDeflationInterval=0")


COMMANDS = {
    "python": (python("sleeps.py"), EXACT),
    "python-threads": (python("threads.py"), EXACT),
    "python-sdk": (python_sdk("sync_sdk.py"), EXACT),
    "python-sdk-async": (python_sdk("async_sdk.py"), EXACT),
    "node-fetch": (node("fetch.mjs"), EXACT),
    "node-worker": (node("worker.mjs"), EXACT),
    "node-sdk": (node("sdk.mjs"), EXACT),
    "c": (c, EXACT),
    "curl": (curl, EXACT),
    "rust": (rust, EXACT),
    "go": (go, NEARLY),
    "java": (java, NEARLY),
    "java-quiet": (quiet_java, NEARLY),
}
# The longest wait of a client in seconds. The Python SDK itself takes no longer one from the server.
# The JVM's own threads tick 25 times a second, so that a day has 1.7 million moves of the clock:
# minutes, which the long run alone takes.
LONGEST_S = {"python-sdk": 60, "python-sdk-async": 60, "java": 3600}


def write_scenario(folder, waits, tolerance, **more):
    answers = [{"answer": {"error": "rate_limit_exceeded", "status": 429,
                           "retry_after": f"{wait}s"}} for wait in waits]
    scenario = {
        "name": "backoff", "why": "It waits as long as it is told.",
        "server": {"script": answers},
        "client": {"command": ["false"], "timeout": "168h"},
        "expect": {"attempts_per_call": len(waits) + 1, "delays": [f"{wait}s" for wait in waits],
                   "delay_tolerance": tolerance, "outcome": "succeeds"},
        **more,
    }
    path = folder / "backoff.json"
    path.write_text(json.dumps(scenario))
    return path


def check(scenario, command, *options):
    done = subprocess.run(
        [str(TOOMANY), "check", "--time", "virtual", *options, str(scenario), "--", *command],
        env=environment(OPENAI_API_KEY="sk-test"), text=True, capture_output=True,
        timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def runs_of(client, backoff):
    """Java's many moves of the clock take long: once is enough every day."""
    is_slow = client.startswith("java") and backoff != "127s"
    return 1 if is_slow and RUNS < 100 else RUNS


BY_LENGTH = [pytest.param(name, marks=() if name == "127s" else pytest.mark.once)
             for name in BACKOFFS]


@pytest.mark.parametrize("backoff", BY_LENGTH)
@pytest.mark.parametrize("client", COMMANDS)
def test_delays_are_exact(client, backoff, tmp_path):
    make_command, tolerance = COMMANDS[client]
    most = LONGEST_S.get(client, 10**9)
    waits = [wait for wait in BACKOFFS[backoff] if wait <= most]
    if not waits:
        pytest.skip(f"it does not wait longer than {most} s")
    scenario = write_scenario(tmp_path, waits, tolerance)
    check(scenario, make_command(tmp_path), "--repeat", str(runs_of(client, backoff)))


def many_calls(folder, count):
    """Each of `count` calls side by side is told to wait a minute, and then 7 s."""
    return write_scenario(folder, [60] * count + [7] * count, EXACT, expect={
        "calls": count, "attempts_per_call": 3, "delays": ["60s", "7s"],
        "delay_tolerance": EXACT, "outcome": "succeeds"})


def test_java_as_it_is_waits_for_a_day(tmp_path):
    if RUNS < 100:
        pytest.skip("minutes; TOOMANY_RUNS=100 runs it")
    check(write_scenario(tmp_path, BACKOFFS["24h"], NEARLY), java(tmp_path))


@pytest.mark.parametrize("jobs", [1, 4])
def test_delays_are_exact_on_a_loaded_machine(jobs, tmp_path):
    """Every processor computes for others, and runs go side by side."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
               for _ in range(os.cpu_count() or 1)]
    try:
        for client in ("python", "curl", "python-threads"):
            make_command, tolerance = COMMANDS[client]
            scenario = write_scenario(tmp_path, BACKOFFS["127s"], tolerance)
            check(scenario, make_command(tmp_path), "--repeat", str(max(RUNS, jobs)),
                  "--jobs", str(jobs))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def test_many_threads(tmp_path):
    check(many_calls(tmp_path, 200), [sys.executable, str(CLIENTS / "many_threads.py"), "200"])


def test_many_tasks(tmp_path):
    scenario = write_scenario(tmp_path, BACKOFFS["127s"], EXACT)
    check(scenario, [sys.executable, str(CLIENTS / "many_tasks.py"), "1000"])


@pytest.mark.parametrize("client", ["python", "c", "curl", "node-fetch"])
def test_journals_are_the_same_to_the_byte(client, tmp_path):
    make_command, tolerance = COMMANDS[client]
    command = make_command(tmp_path)
    scenario = write_scenario(tmp_path, BACKOFFS["127s"], tolerance)
    reports = []
    for number in range(3):
        report = tmp_path / f"report{number}.json"
        check(scenario, command, "--report", f"json={report}")
        reports.append(report.read_bytes())
    assert reports[0] == reports[1] == reports[2]
