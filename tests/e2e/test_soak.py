"""script/soak, in short: that the server holds, and that the script runs."""

import subprocess

import pytest
from toomany import PATIENCE_S, ROOT, TOOMANY


@pytest.mark.once  # a sanitizer keeps what is freed, which looks like growth
def test_soak_in_short():
    finished = subprocess.run(
        [ROOT / "script" / "soak", "--requests", "5000", "--streams", "100", "--abandoned", "200",
         "--toomany", TOOMANY], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert [line.split()[0] for line in finished.stdout.splitlines()] == [
        "requests", "streams", "abandoned", "descriptors", "kill"]
