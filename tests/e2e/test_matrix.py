"""script/matrix: what it lists, what it makes of reports, and how it tells of a client that it cannot install."""

import json
import os
import pathlib
import re
import subprocess

import pytest
import toomany

MATRIX = toomany.ROOT / "script" / "matrix"
CLIENTS = json.loads((toomany.ROOT / "examples/matrix/clients.json").read_text())


def matrix(*arguments, **environment):
    return subprocess.run([str(MATRIX), *arguments], capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "TOOMANY_BUILD": str(toomany.BUILD), **environment})


def test_each_client_is_pinned():
    lines = matrix("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [client["id"] for client in CLIENTS]
    for line in lines:
        assert re.fullmatch(r"\d+(\.\d+)+\S*", line.split()[1]), line


def test_the_official_sdks_are_there_before_and_after_their_change():
    versions = dict(line.split()[:2] for line in matrix("--list").stdout.splitlines())
    assert versions["openai-node-before"] == "6.49.0"
    assert tuple(map(int, versions["openai-python-before"].split("."))) < (2, 52)
    assert versions["openai-python"] == versions["openai-python-async"]


@pytest.mark.carried
def test_pages_show_each_cell_and_lead_to_its_evidence(tmp_path):
    # A graded client and one that cannot be installed here: the second is told of and stops nothing.
    (tmp_path / "bin").mkdir()
    done = matrix("--only", "toomany-c,openai-go", "--output", str(tmp_path),
                  PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin", TOOMANY_BUILD=str(build_without_go(tmp_path)))
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^toomany-c \S+ +A ", done.stdout, re.M), done.stdout
    assert "left out: go is not installed" in done.stdout
    page, evidence = (tmp_path / "matrix.md").read_text(), (tmp_path / "matrix.html").read_text()
    assert "- openai-go 3.96.0: go is not installed" in page
    anchors = set(re.findall(r"id='([^']+)'", evidence))
    links = re.findall(r"matrix\.html#([^)]+)\)", page)
    probes = json.loads(subprocess.run([str(toomany.TOOMANY), "grade", "--list", "--format", "json"],
                                       capture_output=True, text=True, check=True).stdout)
    assert len(links) == len(set(links)) == len(probes["probes"] if isinstance(probes, dict) else probes)
    assert set(links) <= anchors


def build_without_go(tmp_path):
    """A build directory that leaves the real one as it is."""
    build = tmp_path / "build"
    build.mkdir()
    for name in ("toomany", "examples", "libtoomany-clock.so", "libtoomany-client.so.0"):
        if (toomany.BUILD / name).exists():
            (build / name).symlink_to(toomany.BUILD / name)
    return build


def test_wrong_usage_is_told(tmp_path):
    done = matrix("--only", "nobody", "--output", str(tmp_path))
    assert done.returncode == 2 and "there is no client nobody; --list shows them" in done.stderr
    assert matrix("--jobs", "none").returncode == 2
    assert matrix("--wrong").returncode == 2
    done = matrix("--only", "toomany-c", TOOMANY_BUILD=str(tmp_path))
    assert done.returncode == 3 and "TOOMANY_BUILD" in done.stderr
    assert not list(pathlib.Path(tmp_path).iterdir())
