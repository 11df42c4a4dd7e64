"""What a request costs, in instructions and system calls: numbers that no other program's load
changes, so that a change that makes the server slower is seen here."""

import subprocess

import pytest

from toomany import BUILD, PATIENCE_S, ROOT


@pytest.mark.once
def test_request_costs_no_more_than_the_limits():
    counted = subprocess.run([ROOT / "bench" / "server" / "cost", "--build", BUILD],
                             capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if counted.returncode == 3:
        pytest.skip(counted.stderr.strip())
    assert counted.returncode == 0, counted.stdout + counted.stderr
