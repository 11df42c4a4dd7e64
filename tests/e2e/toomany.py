"""Runs the built `toomany` as a user does, and reads what it says.

TOOMANY_BUILD names the build directory; build/ of the checkout where it is not set.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TOOMANY_BUILD", "build"))
if not BUILD.is_absolute():
    BUILD = ROOT / BUILD
TOOMANY = BUILD / "toomany"
CLIENTS = ROOT / "tests" / "clients"
MODEL = "ft:gpt-4o-mini:acme::7p4lURel"

# Nothing hangs a test run: far more than any step takes, far less than a CI job's patience.
PATIENCE_S = 180

# What the tests' own surroundings must not lend to the program under test.
LEFT_OUT = ("GITHUB_ACTIONS", "NO_COLOR", "COLUMNS", "OPENAI_BASE_URL", "OPENAI_API_KEY",
            "OPENAI_FINE_TUNED_MODEL")


def environment(**more):
    kept = {name: value for name, value in os.environ.items()
            if name not in LEFT_OUT and not name.lower().endswith("_proxy")}
    return {**kept, "LC_ALL": "C.UTF-8", **more}


def run(*arguments, env=None, **more):
    """One run of toomany to its end; text in and out."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
            "timeout": PATIENCE_S, **more}
    return subprocess.run([str(TOOMANY), *map(str, arguments)], env=environment(**(env or {})),
                          **more)


def start(*arguments, env=None, **more):
    """The same, left running."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen([str(TOOMANY), *map(str, arguments)], env=environment(**(env or {})),
                            **more)


def client(name, *arguments):
    """The command of one of tests/clients/."""
    return [sys.executable, str(CLIENTS / f"{name}.py"), *map(str, arguments)]


def write_scenario(folder, scenario, name="scenario.json"):
    path = pathlib.Path(folder) / name
    path.write_text(json.dumps(scenario), encoding="utf-8")
    return path


def scenario(expect, server=None, **more_client):
    """A whole scenario out of the parts that matter to a test."""
    return {"name": "a test", "server": server or {},
            "client": {"command": ["true"], "timeout": "30s", **more_client}, "expect": expect}


class Verdicts:
    """The one scenario of a JSON report, and how `check` ended."""

    def __init__(self, finished, report):
        self.status = finished.returncode
        self.stderr = finished.stderr
        self.result, = report["scenarios"]
        self.failed = {verdict["expectation"] for verdict in self.result["verdicts"]
                       if not verdict["held"]}
        self.undetermined = {verdict["expectation"] for verdict in self.result["verdicts"]
                             if verdict["undetermined"]}
        self.passed = self.result["passed"]

    @property
    def client(self):
        return self.result["runs"][-1]

    def __repr__(self):
        lines = [f"exit {self.status}", self.stderr]
        lines += [f"{'held  ' if verdict['held'] else 'FAILED'} {verdict['expectation']}: "
                  f"expected {verdict['expected']}, seen {verdict['seen']}"
                  for verdict in self.result["verdicts"]]
        lines += [run["stderr"] or "" for run in self.result["runs"]]
        return "\n".join(lines)


def check(folder, scenario, command=None, *options, env=None):
    """`toomany check` of one scenario, with `command` in place of the scenario's own."""
    path = write_scenario(folder, scenario)
    arguments = ["check", "--report", "json", *options, path]
    finished = run(*arguments, *(["--", *command] if command else []), env=env)
    assert finished.stdout, f"no report; exit {finished.returncode}: {finished.stderr}"
    return Verdicts(finished, json.loads(finished.stdout))


class Server:
    """A `toomany serve` that runs."""

    def __init__(self, process, line):
        self.process = process
        self.first_line = line
        match = re.fullmatch(r"toomany: serving (http://127\.0\.0\.1:(\d+)/v1)\n", line)
        assert match, f"first line: {line!r}"
        self.base_url = match[1]
        self.port = int(match[2])

    def environment(self, **more):
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "sk-e2e-0123456789",
                "OPENAI_FINE_TUNED_MODEL": MODEL, **more}

    def request(self, method, path, body=None, headers=None):
        """One request on a connection of its own: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def chat(self, content="Hello", model=MODEL, key="sk-e2e-0123456789", **more):
        return self.request("POST", "/v1/chat/completions",
                            {"model": model, "messages": [{"role": "user", "content": content}],
                             **more},
                            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})

    def admin(self, method, name, body=None):
        status, _, answer = self.request(method, f"/_toomany/{name}", body)
        return status, json.loads(answer)

    def journal(self):
        _, _, answer = self.request("GET", "/_toomany/journal")
        return [json.loads(line) for line in answer.splitlines()]

    def stop(self, number=signal.SIGTERM):
        """Ends it; its exit status and what it said on stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


@contextlib.contextmanager
def serving(folder, config=None, *options):
    """`toomany serve` on a free port, ended with the block if the test has not ended it."""
    arguments = ["serve", "--port", "0", *options]
    if config is not None:
        path = pathlib.Path(folder) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        arguments += ["--config", path]
    process = start(*arguments)
    try:
        line = process.stdout.readline()
        assert line, f"it said nothing on stdout; on stderr: {process.stderr.read()}"
        yield Server(process, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(holds, what):
    """Waits for what has to happen by itself; what the test says when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)
