"""`toomany load` as a user runs it: reports, exit status, determinism, being stopped."""

import csv
import io
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import time

import pytest

import toomany

TINY = toomany.ROOT / "experiments" / "tiny.json"
NEEDS_GNUPLOT = pytest.mark.skipif(shutil.which("gnuplot") is None,
                                   reason="gnuplot is not installed (Debian: gnuplot-nox)")


def write(folder, **changes):
    experiment = {"name": "small", "quotas": {"requests_per_minute": 600},
                  "service_time": {"kind": "exponential", "mean": "100ms"},
                  "strategies": ["none", "full-jitter", "paced"],
                  "load": {"workers": [1, 4]}, "duration": "1m", "repetitions": 2, **changes}
    path = pathlib.Path(folder) / "experiment.json"
    path.write_text(json.dumps(experiment), encoding="utf-8")
    return path


def test_the_table_is_the_default_and_fits_80_columns():
    done = toomany.run("load", "--simulate", TINY)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    assert "The best load of each, best first" in done.stdout


def test_help_fits_a_screen_and_shows_an_example():
    lines = toomany.run("load", "--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    assert "Example:" in lines


@pytest.mark.parametrize("kind", ["json", "csv", "table"])
def test_same_file_and_seed_give_the_same_bytes_with_any_number_of_jobs(kind):
    texts = {toomany.run("load", "--simulate", "--jobs", jobs, "--report", kind, TINY).stdout
             for jobs in (1, 2, 7)}
    assert len(texts) == 1
    other = toomany.run("load", "--simulate", "--seed", "2", "--report", kind, TINY).stdout
    assert other not in texts


def test_csv_and_json_say_the_same(tmp_path):
    toomany.run("load", "--simulate", "--report", f"csv={tmp_path}/a.csv",
                "--report", f"json={tmp_path}/a.json", TINY, check=True)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8"))))
    cells = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["cells"]
    assert [(row["strategy"], float(row["workers"])) for row in rows] == \
        [(cell["strategy"], cell["workers"]) for cell in cells]
    for row, cell in zip(rows, cells, strict=True):
        for name, measure in cell["measures"].items():
            assert row[name] == ("" if measure["mean"] is None else f"{measure['mean']:.10g}")


@NEEDS_GNUPLOT
def test_plots_and_page(tmp_path):
    toomany.run("load", "--simulate", "--advise", "--report", f"svg={tmp_path}/a.svg", "--report",
                f"png={tmp_path}/a.png", "--report", f"html={tmp_path}/a.html", TINY, check=True)
    assert "</svg>" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "class=\"advice\"" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_without_gnuplot_it_says_what_to_install_before_it_runs(tmp_path):
    done = toomany.run("load", "--simulate", "--report", f"svg={tmp_path}/a.svg", TINY,
                       env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "gnuplot-nox" in done.stderr
    assert not (tmp_path / "a.svg").exists()
    assert toomany.run("load", "--simulate", TINY, env={"PATH": str(tmp_path)}).returncode == 0


def test_advice_names_a_strategy_a_load_and_what_a_raise_brings():
    done = toomany.run("load", "--simulate", "--advise", TINY)
    last = " ".join(done.stdout.split("\n\n")[-1].split())
    assert last.startswith('Take "paced" with 4 workers: ')
    assert "Twice the requests per minute would bring" in last
    # Where no table is asked for, it stands on stderr.
    done = toomany.run("load", "--simulate", "--advise", "--report", "csv", TINY)
    assert done.stderr.startswith('Take "paced" with 4 workers: ')


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "an experiment is missing"),
    ([TINY, TINY], "it takes one"),
    (["--report", "yaml", TINY], 'there is no kind "yaml", only table, csv'),
    (["--report", "csv=", TINY], "a file name is missing"),
    (["--jobs", "0", TINY], "--jobs"),
    (["--seed", "-1", TINY], "--seed"),
    (["--speed", "0", TINY], "--speed"),
    (["--simulate", "--speed", "10", TINY], "--simulate has no use for"),
    (["--base-url", "http://192.0.2.1/v1", TINY], "--allow-host 192.0.2.1"),
    (["--simulate", "nowhere.json"], "nowhere.json"),
    (["--strategy", "pace", TINY], 'it has no strategy "pace", only "none", "exponential"'),
    (["--load", "5", TINY], "it has no load of 5 workers, only 1, 4, 16"),
    (["--load", "many", TINY], '--load "many": expected a number'),
    (["--journal", "a.jsonl", "--base-url", "http://127.0.0.1:1/v1", TINY],
     "toomany serve --journal"),
    (["--nonsense", TINY], "--nonsense"),
])
def test_wrong_usage_is_2_and_says_what_is_wrong(arguments, words):
    done = toomany.run("load", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path):
    done = toomany.run("load", "--simulate", write(tmp_path, strategies=["ful-jitter"]))
    assert done.returncode == 2
    assert "experiment.json: /strategies/0" in done.stderr


@pytest.mark.parametrize("arguments, words", [
    (["--report", "csv=/dev/full"], "/dev/full"),
    (["--journal", "/dev/full"], "journal: it cannot be written"),
])
def test_a_full_disk_is_3(arguments, words):
    done = toomany.run("load", "--simulate", *arguments, TINY)
    assert done.returncode == 3
    assert words in done.stderr


def test_a_part_gives_what_the_whole_gives_for_it():
    whole, part = (json.loads(toomany.run("load", "--simulate", "--report", "json", *choice, TINY,
                                          check=True).stdout)
                   for choice in ([], ["--strategy", "paced", "--load", "4"]))
    assert part["cells"] == [cell for cell in whole["cells"]
                             if cell["strategy"] == "paced" and cell["workers"] == 4]


def test_the_journal_is_the_same_kind_of_file_for_real_and_simulated(tmp_path):
    """And it is of the one run: its requests are those that the report counts."""
    path = write(tmp_path, duration="3s", drain="1s", repetitions=1)
    entries = {}
    for mode in ("--simulate", "--speed=1"):
        journal = tmp_path / f"{mode}.jsonl"
        report = json.loads(toomany.run(
            "load", mode, "--strategy", "full-jitter", "--load", "4", "--journal", journal,
            "--report", "json", path, check=True).stdout)
        entries[mode] = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
        line = report["cells"][0]["time_line"]
        assert len(entries[mode]) == line["all_attempts"]
        assert 0 < sum(line["attempts"]) <= line["all_attempts"]  # the others came in the drain
    simulated, real = entries.values()
    assert set(real[0]) - set(simulated[0]) <= {"idempotency_key"}
    assert set(simulated[0]) <= set(real[0])
    assert {entry["decision"] for entry in real} == {"served"}
    # Either can be what the next experiment takes its times and arrivals from.
    for mode in entries:
        measured = {"kind": "measured", "journal": f"{mode}.jsonl"}
        again = write(tmp_path, service_time=measured,
                      load={"rates": [1], "arrivals": {"kind": "trace", "file": f"{mode}.jsonl"}})
        toomany.run("load", "--simulate", again, check=True)


def test_for_real_it_finds_what_the_simulation_finds(tmp_path):
    """Six seconds of requests over sockets: the quota admits the same number of them."""
    path = write(tmp_path, strategies=["paced"], load={"workers": [4]}, duration="3s", drain="1s",
                 repetitions=1)
    seen = [json.loads(toomany.run("load", *mode, "--report", "json", path, check=True).stdout)
            for mode in ([], ["--simulate"])]
    assert [report["simulated"] for report in seen] == [False, True]
    counts = [sum(report["cells"][0]["time_line"]["served"]) for report in seen]
    assert 0.8 < counts[0] / counts[1] < 1.2


def test_a_machine_that_is_too_slow_is_said_to_be(tmp_path):
    """Where a millisecond of the machine counts as a second, it is late with everything."""
    path = write(tmp_path, strategies=["full-jitter"], load={"workers": [4]}, repetitions=1)
    for mode, is_late in (["--speed=1000"], True), (["--simulate"], False):
        done = toomany.run("load", *mode, "--report", f"json={tmp_path}/a.json", "--report",
                           f"table={tmp_path}/a.txt", path)
        assert done.returncode == 0, done.stderr
        cell = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["cells"][0]
        assert cell["late"] is is_late
        assert (cell["measures"]["late_s"]["mean"] is not None) is is_late
        table = (tmp_path / "a.txt").read_text(encoding="utf-8")
        assert ("this machine was too slow" in " ".join(table.split())) is is_late


def test_another_server_is_asked_and_shares_its_quota_between_runs(tmp_path):
    path = write(tmp_path, service_time="1ms", duration="1s", drain="1s", repetitions=1,
                 strategies=["none"], load={"workers": [1, 2]})
    with toomany.serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 60}}},
                         "--max-journal-entries", "1000000") as server:
        done = toomany.run("load", "--base-url", server.base_url, "--report", "json", path)
        requests = len(server.journal())
        alone = toomany.run("load", "--base-url", server.base_url, "--load", "1", path)
    assert done.returncode == 0, done.stderr
    assert "2 runs share the quota" in done.stderr
    assert alone.stderr == ""
    sent = [sum(cell["time_line"]["attempts"]) for cell in json.loads(done.stdout)["cells"]]
    # Of each worker, the last request of a run may arrive when its duration is over.
    assert min(sent) > 0 and sum(sent) <= requests <= sum(sent) + 3


def test_ctrl_c_reports_what_is_done_so_far(tmp_path):
    """Years are simulated for long; the first cells are done in no time."""
    path = write(tmp_path, load={"workers": [1, 4]}, duration="300d", repetitions=3)
    process = toomany.start("load", "--simulate", "--report", f"json={tmp_path}/a.json", path)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=toomany.PATIENCE_S)
    assert process.returncode == 3, errors
    report = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert report["complete"] is False
    assert report["cells"][-1]["repetitions"] == 0
    for cell in report["cells"]:
        assert (cell["measures"]["quota_share"]["mean"] or 0) <= 1.001
    assert report["cells"][-1]["measures"]["goodput_requests_per_s"]["mean"] is None


def test_a_run_that_is_cut_short_has_no_more_than_the_quota(tmp_path):
    """In its first second the burst of a full pool is all there, and the duration is not."""
    path = write(tmp_path, service_time="10ms", strategies=["none"], load={"workers": [4]},
                 duration="10m", repetitions=1)
    process = toomany.start("load", "--advise", "--report", f"json={tmp_path}/a.json", "--report",
                            f"table={tmp_path}/a.txt", path)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=toomany.PATIENCE_S)
    assert process.returncode == 3, errors
    report = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    cell = report["cells"][0]
    assert cell["cut_short"] and not cell["complete"]
    assert 0 < cell["measures"]["quota_share"]["mean"] <= 1.001
    assert "so there is nothing to advise" in report["advice"]
    table = (tmp_path / "a.txt").read_text(encoding="utf-8")
    assert re.search(r"\n#[ !] +4 ", table) and "\n*" not in table and "#  cut short" in table


def test_a_terminal_sees_a_bar_that_goes_away(tmp_path):
    path = write(tmp_path, duration="300d")
    master, slave = pty.openpty()
    process = toomany.start("load", "--simulate", path, stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    seen = b""
    while b"\r[" not in seen:
        seen += os.read(master, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass  # the other end is closed
    os.close(master)
    assert process.wait(timeout=toomany.PATIENCE_S) == 3
    assert b" %" in seen
    assert seen.endswith(b"\r\x1b[K")
