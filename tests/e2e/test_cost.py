"""What a request costs, in instructions and system calls: numbers that no other program's load
changes, so that a change that makes the server slower is seen here."""

import pathlib
import re
import subprocess

import pytest

from toomany import BUILD, PATIENCE_S, ROOT, serving


@pytest.mark.once
def test_request_costs_no_more_than_the_limits():
    counted = subprocess.run([ROOT / "bench" / "server" / "cost", "--build", BUILD],
                             capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if counted.returncode == 3:
        pytest.skip(counted.stderr.strip())
    assert counted.returncode == 0, counted.stdout + counted.stderr


@pytest.mark.once
def test_idle_server_is_resident_with_less_than_8_megabytes(tmp_path):
    with serving(tmp_path) as server:
        assert server.request("GET", "/v1/models", headers={"Authorization": "Bearer sk-e2e"})[0] == 200
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 8 * 1024
