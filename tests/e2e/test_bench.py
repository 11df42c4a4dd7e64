"""The measurements of bench/README.md run. What they measure is no matter of a test, but for what no
other program's load changes: there are limits for that."""

import fcntl
import pathlib
import re
import subprocess

import pytest

from toomany import BUILD, PATIENCE_S, ROOT, serving

SERVER = ROOT / "bench" / "server"


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)


@pytest.fixture(scope="session")
def benches():
    """Built once, whichever of the workers comes first."""
    with (BUILD / "benches.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = run("cmake", "--build", BUILD, "--target", "benches")
        assert built.returncode == 0, built.stdout + built.stderr


def rows_of(output):
    """The cells of its tables, without their heads."""
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for table in re.findall(r"^\|(?:---\|)+\n((?:\|.*\n)+)", output, re.MULTILINE)
            for line in table.splitlines()]


@pytest.mark.once
@pytest.mark.usefixtures("benches")
def test_request_costs_no_more_than_the_limits():
    counted = run(SERVER / "cost", "--build", BUILD)
    if counted.returncode == 3:
        pytest.skip(counted.stderr.strip())
    assert counted.returncode == 0, counted.stdout + counted.stderr


@pytest.mark.once
def test_idle_server_is_resident_with_less_than_8_megabytes(tmp_path):
    with serving(tmp_path) as server:
        status, _, _ = server.request("GET", "/v1/models", None, {"Authorization": "Bearer sk-e2e"})
        assert status == 200
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 8 * 1024


@pytest.mark.once
def test_threads_are_measured_side_by_side():
    ran = run(SERVER / "threads", "--build", BUILD, "--rounds", 1, "--connections", 64)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [row[0] for row in rows_of(ran.stdout)] == ["one thread", "two threads", "two servers"]


@pytest.mark.once
@pytest.mark.usefixtures("benches")
def test_systems_are_measured_side_by_side():
    ran = run(SERVER / "run", "--build", BUILD, "--rounds", 1, "--seconds", 0.1, "--only", "toomany",
              "--only", "bare")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [row[:2] for row in rows_of(ran.stdout)] == [
        ["toomany", "200"], ["toomany", "429"], ["bare", "200"], ["bare", "429"]]
    assert all(float(row[2]) > 0 and row[-1] == "0.00%" for row in rows_of(ran.stdout)), ran.stdout
    assert re.search(r"toomany / bare, 429: \d\.\d+ of the smallest", ran.stdout)
    assert re.search(r"Start to first answer, 15 starts: \d+\.\d ms", ran.stdout)


@pytest.mark.once
@pytest.mark.usefixtures("benches")
def test_curves_are_measured():
    ran = run(SERVER / "run", "--build", BUILD, "--curves", "--most", 100, "--seconds", 0.1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [row[0] for row in rows_of(ran.stdout)] == ["1", "10", "100", "100"]


@pytest.mark.once
@pytest.mark.usefixtures("benches")
def test_decisions_are_measured():
    ran = run(BUILD / "bench_quota", 1, 1000)
    assert re.search(r"1000 pools: +\d+\.\d ns smallest", ran.stdout), ran.stdout + ran.stderr
