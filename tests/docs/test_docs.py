"""README and docs/, held against the built program: what they show is run, what they name exists.

TOOMANY_BUILD names the build directory; build/ of the checkout where it is not set. How pages say
what a test needs to know: pages.py. How their commands are run: session.py.
"""

import http.client
import json
import re
import shutil
import subprocess

import pytest
import yaml

import pages
import session
from pages import ROOT

TOOMANY = session.build_folder() / "toomany"
SUBCOMMANDS = ["demo", "check", "grade", "serve", "call", "run", "load"]


def says(*arguments):
    finished = subprocess.run([str(TOOMANY), *arguments], capture_output=True, text=True,
                              timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def named(page):
    return str(page.relative_to(ROOT))


# --- what is shown is run ---------------------------------------------------------------------


def prepare(page, folder, blocks):
    """The folder that the page's reader is in."""
    if page.name == "ci.md":
        # The reader's own project, with a checkout of this one in it.
        project, folder = folder, folder / "toomany"
        folder.mkdir()
        session.copy_sources(folder)
        session.lend_build(folder)
        for block in blocks:
            if block.note == "file":
                (project / block.note_value).parent.mkdir(parents=True, exist_ok=True)
                (project / block.note_value).write_text(block.text, encoding="utf-8")
        (project / "my_program.py").symlink_to(folder / "examples/python/fixed.py")
        (project / "examples").symlink_to(folder / "examples")
        return
    session.copy_sources(folder)
    # A reader of the README has nothing yet: its first command builds.
    build = session.build_folder()
    if page.name == "README.md":
        build = folder / "build"
    else:
        session.lend_build(folder)
    session.lend_programs(folder, build)
    for block in blocks:
        if block.note == "file":
            (folder / block.note_value).write_text(block.text, encoding="utf-8")


def run_page(page, folder):
    folder.mkdir()
    blocks = pages.blocks_of(page)
    prepare(page, folder, blocks)
    commands = [command for block in blocks
                if block.language in ("sh", "console") and block.note != "not run"
                for command in pages.commands_of(block)
                if session.has_node() or " -- node " not in command.text]
    ended = session.run([command.text for command in commands], folder)
    return list(zip(commands, ended, strict=True))


@pytest.mark.parametrize("page", pages.OWN, ids=named)
def test_commands_do_what_the_page_shows(page, tmp_path):
    ran = run_page(page, tmp_path / "project")
    for index, (command, (status, output)) in enumerate(ran):
        place = f"{command.block.place}: $ {command.text}\nexit {status}\n{output}"
        # A command may fail only where the page says so, by asking for its exit status next.
        asked = index + 1 < len(ran) and ran[index + 1][0].text == "echo $?"
        assert status == 0 or asked, place
        if command.output:
            assert session.shows(command.output, output.splitlines()), place


def test_few_commands_are_not_run():
    """Each with a reason; a page whose commands nobody runs is a page that nobody can trust."""
    left_out = [block for page in pages.OWN for block in pages.blocks_of(page)
                if block.note == "not run"]
    assert all(len(block.note_value) > 10 for block in left_out)
    assert len(left_out) <= 3, [block.place for block in left_out]


def test_a_page_that_shows_something_else_is_noticed():
    """What the tests above rest on: equal but for times, and nothing left out silently."""
    real = ["pass  R3                    6.391s  real time",
            "      ○───── 1.011s ─────━○╌╌ 814.7ms ╌╌┤", "      429", "      ok        11 held"]
    assert session.shows(["pass  R3  2s  real time", "  ○── 1s ──○╌╌ 8ms ┤", "429", "ok 11 held"],
                         real)
    assert session.shows(["pass  R3  2s  real time", "...", "ok 11 held"], real)
    assert not session.shows(["pass  R3  2s  real time", "...", "ok 12 held"], real)
    assert not session.shows(["pass  R3  2s  real time"], real)
    assert not session.shows(["pass  R3  2s  real time", "○ 1s ● 8ms ┤", "429", "ok 11 held"], real)
    assert not session.shows([*real, "more"], real)


# --- snippets ---------------------------------------------------------------------------------

BLOCKS = [block for page in pages.OWN for block in pages.blocks_of(page)]


def test_no_two_pages_take_the_same_port():
    """They are tested at the same time; 8429 is replaced (session.py)."""
    taken = {}
    for block in BLOCKS:
        for port in set(re.findall(r"--port (\d+)|127\.0\.0\.1:(\d+)", block.text)):
            taken.setdefault(port[0] or port[1], set()).add(named(block.page))
    assert {port: owners for port, owners in taken.items()
            if len(owners) > 1 and port not in ("8429", "0")} == {}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "json"],
                         ids=lambda block: block.place)
def test_json_is_json(block):
    json.loads(block.text)


def workflow_commands(document):
    """The shell lines of a GitHub workflow or a GitLab pipeline."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("run", "script", "before_script"):
                lines = value if isinstance(value, list) else [value]
                yield from (line for text in lines for line in pages.joined(text.splitlines()))
            else:
                yield from workflow_commands(value)
    elif isinstance(document, list):
        for item in document:
            yield from workflow_commands(item)


YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]


@pytest.mark.parametrize("recipe", ["github-actions.yml", "gitlab-ci.yml"])
def test_recipes_are_those_of_the_page(recipe):
    """They stand in files to be copied, and in docs/ci.md to be read."""
    text = (ROOT / "examples" / "ci" / recipe).read_text(encoding="utf-8")
    assert yaml.safe_load(text) in [yaml.safe_load(block.text) for block in YAML_BLOCKS]


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=lambda block: block.place)
def test_pipelines_are_yaml_and_say_what_to_run(block):
    document = yaml.safe_load(block.text)
    assert any("toomany check" in line.replace("build/", "") for line in workflow_commands(document))


def test_the_commands_of_pipelines_run(tmp_path):
    """In a project with a checkout of this one in it, as the pipelines have it."""
    folder = tmp_path / "project"
    folder.mkdir()
    page = ROOT / "docs" / "ci.md"
    prepare(page, folder, pages.blocks_of(page))
    (folder / "toomany" / "build").unlink()  # a pipeline builds
    # Those of the README leave the building out.
    lines = dict.fromkeys(line for block in sorted(YAML_BLOCKS, key=lambda block: block.page != page)
                          for line in workflow_commands(yaml.safe_load(block.text))
                          if "git clone" not in line and "apt-get" not in line)
    for line, (status, output) in zip(lines, session.run(list(lines), folder), strict=True):
        assert status == 0, f"{line}\nexit {status}\n{output}"


# --- what is named exists ---------------------------------------------------------------------


@pytest.mark.parametrize("page", pages.ALL, ids=named)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", pages.prose_of(page)):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in pages.anchors_of(file), f"{page.name}: {target}"


FOLDERS = "base|cli|client|upstream|clock|cmake|docs|examples|harness|mockserver|scenarios|script|tests"


@pytest.mark.parametrize("page", pages.OWN, ids=named)
def test_files_that_are_named_exist(page):
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", pages.prose_of(page)):
        # NAME and NOUN stand for one that the reader chooses.
        if not re.search(r"NAME|NOUN|\*", name):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_readme_lists_every_scenario():
    listed = re.findall(r"\(scenarios/([\w-]+\.json)\)",
                        (ROOT / "README.md").read_text(encoding="utf-8"))
    shipped = {file.name for file in (ROOT / "scenarios").glob("*.json")} - {"scenario.schema.json"}
    assert sorted(listed) == sorted(shipped)


# --- options ----------------------------------------------------------------------------------


def options_in_code(subcommand):
    source = "".join(path.read_text(encoding="utf-8")
                     for path in sorted((ROOT / "cli").glob(f"{subcommand}*.c")))
    names = set(re.findall(r'\{"([\w-]+)", (?:no|required)_argument', source))
    table = re.search(r"policy_options\[\] = \{(.*?)\n\};", source, re.DOTALL)
    return names | set(re.findall(r'\{"([\w-]+)"', table[1]) if table else [])


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_help_fits_a_screen(subcommand):
    lines = says(subcommand, "--help").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= {"call": 32, "load": 32, "serve": 32, "grade": 38}.get(subcommand, 26)
    assert "Example:" in lines
    assert f"  toomany {subcommand}" in "\n".join(lines[lines.index("Example:"):])


def test_help_of_all_names_every_command():
    lines = says("--help").splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) <= 24
    assert re.findall(r"^  (\w+) +\w", "\n".join(lines), re.MULTILINE)[:len(SUBCOMMANDS)] \
        == SUBCOMMANDS


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_help_lists_exactly_the_options_of_the_code(subcommand):
    rows = re.findall(r"^  --.*", says(subcommand, "--help"), re.MULTILINE)
    listed = {option for row in rows for option in re.findall(r"(?:^  |, | or | )--([\w-]+)", row)}
    assert sorted(listed) == sorted(options_in_code(subcommand))


@pytest.mark.parametrize("page", pages.ALL, ids=named)
def test_options_in_commands_exist(page):
    """Wherever a line holds one: in blocks, in what is indented, in sentences."""
    for line in pages.joined(page.read_text(encoding="utf-8").splitlines()):
        command = re.search(r"toomany (\w+)( [^`]*)?", line.replace("\\\n", " "))
        if command is None or command[1] not in SUBCOMMANDS:
            continue
        own = re.split(r" -- | \| ", command[2] or "")[0]
        for option in re.findall(r"(?<!\S)--([a-z][\w-]*)", own):
            assert option in options_in_code(command[1]), f"{page.name}: {line}"


# Of other programs: the examples, cmake, the official SDKs' programs of the reader, curl.
OTHER_OPTIONS = {"requests", "max-retries", "calls", "limit", "prefix", "retry", "max-time"}


@pytest.mark.parametrize("page", pages.OWN, ids=named)
def test_options_in_sentences_exist(page):
    known = {"version"}.union(OTHER_OPTIONS, *map(options_in_code, SUBCOMMANDS))
    for option in re.findall(r"`[^`\n]*?--([a-z][\w-]+)", pages.prose_of(page)):
        assert option in known, f"{page.name}: --{option}"


# --- the tables are whole ---------------------------------------------------------------------


def test_client_page_lists_every_option_of_call():
    listed = pages.table_of(ROOT / "docs" / "client.md", "option of `toomany call`")
    assert sorted(name.split()[0].removeprefix("--") for name in listed) == \
        sorted(options_in_code("call") - {"help"})


def test_reports_page_lists_every_kind():
    source = (ROOT / "harness" / "report.c").read_text(encoding="utf-8")
    kinds = re.findall(r'\{"(\w+)", report_\w+\}', source)
    assert kinds
    assert pages.table_of(ROOT / "docs" / "reports.md", "kind") == kinds


def test_lab_page_lists_every_kind_strategy_and_measure():
    page = ROOT / "docs" / "lab.md"
    reports = (ROOT / "lab" / "report.c").read_text(encoding="utf-8")
    kinds = re.findall(r'\{"(\w+)", \w+, \w+, lab_report_\w+\}', reports)
    assert kinds and pages.table_of(page, "kind of report") == kinds
    strategies = re.findall(r'^        \.name = "([\w-]+)"',
                            (ROOT / "client" / "strategy.c").read_text(encoding="utf-8"),
                            re.MULTILINE)
    assert strategies and pages.table_of(page, "strategy") == strategies
    measures = re.findall(r'\{"(\w+)", "[^"]*", "[^"]*",',
                          (ROOT / "lab" / "measures.c").read_text(encoding="utf-8"))
    assert measures and pages.table_of(page, "measure") == measures


# --- grade ------------------------------------------------------------------------------------

GRADE = ROOT / "docs" / "grade.md"
GO_CLIENT = "github.com/openai/openai-go/v3@v3.96.0"


def test_grade_page_lists_every_probe_as_the_program_does():
    listed = json.loads(says("grade", "--list", "--format", "json"))["probes"]
    assert listed
    rows = ["| `{id}` | {severity} | {requirement} | {sent} | {source} |".format(**probe)
            for probe in listed]
    lines = GRADE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| probe | severity | what must hold | what is sent | source |") + 2
    assert [line for line in lines[start:] if line.startswith("|")] == rows


def wrapper(language):
    block, = (block for block in pages.blocks_of(GRADE) if block.language == language)
    return block.text


def is_graded(program):
    finished = subprocess.run([str(TOOMANY), "grade", "--probe", "recovers/one-429", "--",
                               str(program)], capture_output=True, text=True, timeout=300,
                              check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_wrapper_in_c_is_graded(tmp_path):
    includes = '#include <stdio.h>\n#include <toomany/client.h>\n'
    options = "char error[256];\nstruct toomany_client_options options = {0};\n"
    (tmp_path / "wrapper.c").write_text(
        f"{includes}int main(void)\n{{\n{options}{wrapper('c')}}}\n", encoding="utf-8")
    subprocess.run(["cc", "-Wall", "-Werror", f"-I{ROOT}/client/include", "-o", tmp_path / "wrapper",
                    tmp_path / "wrapper.c", f"-L{TOOMANY.parent}", "-ltoomany-client",
                    f"-Wl,-rpath,{TOOMANY.parent}"], check=True)
    is_graded(tmp_path / "wrapper")


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
def test_the_wrapper_in_go_is_graded(tmp_path):
    imports = ["context", "fmt", "log", GO_CLIENT.partition("@")[0]]
    (tmp_path / "main.go").write_text(
        "package main\n" + "".join(f'import "{name}"\n' for name in imports) + wrapper("go"),
        encoding="utf-8")
    for command in ("go mod init wrapper", f"go get {GO_CLIENT}", "go build -o wrapper"):
        subprocess.run(command.split(), cwd=tmp_path, check=True, timeout=600)
    is_graded(tmp_path / "wrapper")


def test_server_page_lists_every_error():
    source = (ROOT / "mockserver" / "openai_error.c").read_text(encoding="utf-8")
    kinds = re.findall(r'^    \{"(\w+)", \d+,', source, re.MULTILINE)
    assert kinds
    assert pages.table_of(ROOT / "docs" / "server.md", "error") == kinds


def keys_of(value):
    """Every member's name, in objects within objects too."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    return set()


def test_reports_page_lists_every_field_of_json(tmp_path):
    scenario = {
        "name": "a test",
        "server": {"quotas": {"*": {"requests_per_minute": 1}}},
        "client": {"builtin": {"calls": 2, "policy": {"kind": "none"}}},
        "expect": {"throttled": 1},
    }
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(scenario), encoding="utf-8")
    page = ROOT / "docs" / "reports.md"
    listed = {name for head in ("field", "field of a scenario", "field of an attempt")
              for name in pages.table_of(page, head)}
    finished = subprocess.run([str(TOOMANY), "check", "--report", "json", str(file)],
                              capture_output=True, text=True, timeout=60, check=False)
    fields = keys_of(json.loads(finished.stdout))
    assert listed <= fields
    # Those of the objects within stand in the second column.
    assert fields <= set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))


@pytest.fixture
def served():
    """What the journal and the metrics say when each of their parts has something to say."""
    config = {"quotas": {"*": {"requests_per_minute": 1}}}
    process = subprocess.Popen([str(TOOMANY), "serve", "--port", "0", "--config", "/dev/stdin"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(config))
    process.stdin.close()
    port = int(re.search(r":(\d+)/v1", process.stdout.readline())[1])

    def ask(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return {name.lower() for name, _ in answer.getheaders()}, text

    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]})
    headers = {"Authorization": "Bearer sk-a-test", "Idempotency-Key": "one"}
    yield lambda: (ask("POST", "/v1/chat/completions", body, headers), ask)
    process.terminate()
    process.wait()
    process.stdout.close()


def test_faults_are_listed_where_they_are_told_of():
    row = re.compile(r"^ +ROW\((\w+)\)", re.MULTILINE)
    names = set(row.findall((ROOT / "mockserver" / "fault.c").read_text(encoding="utf-8")))
    assert set(pages.table_of(ROOT / "docs" / "faults.md", "fault")) == names
    schema = json.loads((ROOT / "scenarios" / "scenario.schema.json").read_text(encoding="utf-8"))
    assert set(schema["$defs"]["fault"]["properties"]["fault"]["enum"]) == names


def test_endpoints_are_listed():
    row = re.compile(r'^    \{"(\w+)", "(/[^"]+)"', re.MULTILINE)
    page = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    for method, path in row.findall((ROOT / "mockserver" / "endpoint.c").read_text(encoding="utf-8")):
        # What hangs under a path is shown without it: `.../{id}/events`.
        parent, _, rest = path.partition("/{id}")
        assert f"`{method} {path}`" in page or (
            f"`{method} {parent}`" in page and f"`.../{{id}}{rest}`" in page), path


def test_server_page_lists_every_journal_field_and_metric(served):
    page = ROOT / "docs" / "server.md"
    served()
    (refused, _), ask = served()
    _, journal = ask("GET", "/_toomany/journal")
    _, metrics = ask("GET", "/_toomany/metrics")
    fields = set().union(*(json.loads(line) for line in journal.splitlines()))
    # A scenario's call_marker is one that `serve --config` never writes; a fault is not played here.
    assert set(pages.table_of(page, "field of the journal")) == fields | {"call_marker", "fault"}
    assert set(pages.table_of(page, "metric")) == set(re.findall(r"^# TYPE (\w+)", metrics,
                                                                 re.MULTILINE))
    text = page.read_text(encoding="utf-8").lower()
    for header in refused - {"content-length", "content-type", "date", "connection"}:
        shown = re.sub(r"(limit|remaining|reset)-(requests|tokens)", r"*-\2", header)
        assert header in text or shown in text, header
