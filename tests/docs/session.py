"""Runs the commands of a page one after the other in one shell, as a reader types them.

The shell lives in a scratch folder with a home of its own. Port 8429 is replaced by a free one, and
after a command that puts a server in the background the next waits until it says that it serves.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from pages import ROOT

# Nothing hangs a test run; the longest is a build.
PATIENCE_S = 900

# What the tests' own surroundings must not lend to what is run.
LEFT_OUT = ("GITHUB_ACTIONS", "NO_COLOR", "COLUMNS", "OPENAI_BASE_URL", "OPENAI_API_KEY",
            "OPENAI_FINE_TUNED_MODEL", "TOOMANY_BUILD", "PKG_CONFIG_PATH")

STEP = """
command=$(cat {folder}/{number}.command)
(exit $status)
eval "$command" >{folder}/{number}.output 2>&1
status=$?
echo $status >{folder}/{number}.status
"""
WAIT = """
until grep -q '^toomany: serving' {folder}/{number}.output || ! kill -0 $!; do sleep 0.02; done
"""


def build_folder():
    build = pathlib.Path(os.environ.get("TOOMANY_BUILD", "build"))
    return build if build.is_absolute() else ROOT / build


def copy_sources(to):
    """What a clone would hold, with what is not committed yet."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
                            cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def lend_build(to):
    """What script/demo and script/setup would make, without making it again."""
    (to / "build").symlink_to(build_folder())
    for made in ("examples/python/.venv", "examples/node/node_modules"):
        if (ROOT / made).exists():
            (to / made).symlink_to(ROOT / made)


def has_node():
    """Older systems have an older Node.js than the official SDK takes; script/test says so."""
    return (ROOT / "examples" / "node" / "node_modules" / "openai").exists()


def lend_programs(to, build):
    """A reader's own programs: they heed Retry-After, by the SDK or by the client library."""
    modules = to / "examples" / "node" / "node_modules"
    if has_node() and not modules.exists():
        modules.symlink_to(ROOT / "examples" / "node" / "node_modules")
    (to / "my_program.py").symlink_to(to / "examples/python/fixed.py")
    (to / "my_program.mjs").symlink_to(to / "examples/node/fixed.mjs")
    (to / "my_program").symlink_to(build / "examples/c/quota_aware")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(commands, folder):
    """Runs the commands in `folder`; the status and the output of each, with port 8429 again."""
    port = str(free_port())
    notes = folder.with_name(folder.name + "-session")
    home = folder.with_name(folder.name + "-home")
    notes.mkdir()
    home.mkdir()
    script = "status=0\n"
    for number, command in enumerate(commands):
        (notes / f"{number}.command").write_text(command.replace("8429", port), encoding="utf-8")
        script += STEP.format(folder=notes, number=number)
        if command.rstrip().endswith("&"):
            script += WAIT.format(folder=notes, number=number)
    kept = {name: value for name, value in os.environ.items()
            if name not in LEFT_OUT and not name.lower().endswith("_proxy")}
    path = f"{folder}/examples/python/.venv/bin:{os.environ['PATH']}"
    shell = subprocess.Popen(["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL,
                             env={**kept, "HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"},
                             start_new_session=True)
    try:
        shell.wait(PATIENCE_S)
    finally:
        try:
            os.killpg(shell.pid, signal.SIGTERM)  # the servers of the page
        except ProcessLookupError:
            pass
        shell.wait()
    return [(int((notes / f"{number}.status").read_text()),
             (notes / f"{number}.output").read_text().replace(port, "8429"))
            for number in range(len(commands))]


# Lengths of time, also where they are drawn; what the machine and the day give.
NORMAL = [
    (r"[─╌━]+", " "),
    (r"\d+[-/:]\d+[-/:]\d+T?\d*", "DATE"),
    (r"\b\w{3}, \d+ \w{3} \d{4} DATE GMT", "DATE"),
    (r"\b(\d+h)?(\d+m)?\d+(\.\d+)?(ns|us|ms|s)\b", "TIME"),
    (r"\b\d+(\.\d+)? s\b", "TIME"),
    (r'(_ns"?: ?)\d+', r"\1NUMBER"),
    # What refills while a busy machine takes its time, and the length of what says so.
    (r"\b(retry-after|retry-after-ms|remaining-tokens|content-length): \d+", r"\1: NUMBER"),
    (r'"created":\s*\d+', '"created": NUMBER'),
    (r"\b(req_|chatcmpl-|toomany-|line )[0-9a-f]+", r"\1X"),
    (r"\S*/site-packages/", "site-packages/"),
    (r"\s+", " "),
]


def normal(line):
    for pattern, replacement in NORMAL:
        line = re.sub(pattern, replacement, line, flags=re.IGNORECASE)
    return line.strip()


def shows(shown, real):
    """Whether lines that a page shows are the real ones; "..." stands for any number of lines."""
    if not shown:
        return not real
    if shown[0] == "...":
        return any(shows(shown[1:], real[i:]) for i in range(len(real) + 1))
    return bool(real) and normal(shown[0]) == normal(real[0]) and shows(shown[1:], real[1:])
