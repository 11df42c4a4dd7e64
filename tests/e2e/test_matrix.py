"""script/matrix: what it lists, what it makes of reports, and how it tells of a client that it cannot install."""

import hashlib
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
    assert versions["openai-go-before"] == "3.66.0"
    assert versions["openai-java-before"] == "4.70.0"
    assert versions["openai-python"] == versions["openai-python-async"] == versions["openai-python-stream"]
    assert versions["openai-node"] == versions["openai-node-stream"]


@pytest.mark.parametrize("folder", ["openai-java", "openai-java/before"])
def test_javas_lock_has_a_checksum_of_each_artifact_and_is_that_of_its_pom(folder):
    folder = toomany.ROOT / "examples/matrix" / folder
    lock = json.loads((folder / "lockfile.json").read_text())
    assert lock["pom"]["checksum"] == hashlib.sha256((folder / "pom.xml").read_bytes()).hexdigest()
    artifacts = lock["mavenPlugins"]
    rest = list(lock["dependencies"])
    while rest:
        artifacts.append(rest.pop())
        rest += artifacts[-1].get("children", [])
    assert {"openai-java-core", "okio-jvm", "maven-dependency-plugin"} <= {found["artifactId"] for found in artifacts}
    for found in artifacts:
        assert re.fullmatch("[0-9a-f]{64}", found["checksum"]), found


def test_a_curl_that_is_not_the_one_of_its_lock_file_is_told_of(tmp_path):
    locked = (toomany.ROOT / "examples/matrix/curl-retry/curl.version").read_text().strip()
    curl = tmp_path / "curl"
    for installed, note in ((locked, ""), ("99.1.0", f"the curl of this machine, not the {locked} of its lock file")):
        curl.write_text(f"#!/bin/sh\necho 'curl {installed} (here) libcurl/{installed}'\n")
        curl.chmod(0o755)
        listed = matrix("--list", PATH=f"{tmp_path}:{os.environ['PATH']}").stdout
        line = next(line for line in listed.splitlines() if line.startswith("curl-retry"))
        assert line.split(maxsplit=2)[1:] == [installed, note][: 2 if note else 1]


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
