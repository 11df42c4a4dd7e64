"""Reads the pages: their code blocks, what is said about these in comments, and their links.

What a test needs to know stands in an HTML comment on the line before a block, so that readers do
not see it:

    <!-- file: my.json -->          the block is saved under this name
    <!-- not run: the reason -->    its commands are not run
"""

import dataclasses
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN = [ROOT / "README.md", ROOT / "CHANGELOG.md",
       *sorted((ROOT / "docs").glob("*.md"))]
ALL = [*OWN, ROOT / "scenarios" / "README.md", ROOT / "scenarios" / "reported" / "README.md",
       ROOT / "examples" / "README.md",
       ROOT / "experiments" / "README.md",
       ROOT / "bench" / "README.md", ROOT / "bench" / "simulation" / "README.md",
       ROOT / "tests" / "README.md", ROOT / "tests" / "clients" / "README.md"]


@dataclasses.dataclass
class Block:
    page: pathlib.Path
    line: int  # of its first fence, from 1
    language: str
    text: str
    note: str  # of the comment before it
    note_value: str

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclasses.dataclass
class Command:
    block: Block
    text: str
    output: list[str] | None  # None: the page shows none


def blocks_of(page):
    found, note, lines = [], ("", ""), page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        comment = re.fullmatch(r"\s*<!-- (file|not run): (.+) -->", line)
        fence = re.fullmatch(r"( *)```(\w*).*", line)
        if comment:
            note = comment.groups()
        elif fence:
            end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == "```")
            text = "\n".join(own.removeprefix(fence[1]) for own in lines[number + 1:end]) + "\n"
            found.append(Block(page, number + 1, fence[2], text, *note))
            number, note = end, ("", "")
        elif line.strip():
            note = ("", "")
        number += 1
    return found


def joined(lines):
    """Lines with what a backslash at their end continues."""
    whole = ""
    for line in lines:
        whole += line
        if not line.endswith("\\"):
            yield whole
            whole = ""
        else:
            whole += "\n"


def commands_of(block):
    """The commands of a block of sh or console, in order."""
    if block.language == "sh":
        return [Command(block, line, None) for line in joined(block.text.splitlines())
                if line and not line.startswith("#")]
    commands = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(Command(block, line[2:], []))
        elif commands and not commands[-1].output and (
                line.startswith("> ") or commands[-1].text.endswith("\\")):
            commands[-1].text += "\n" + line.removeprefix("> ")
        else:
            assert commands, f"{block.place}: output before the first `$ `"
            commands[-1].output.append(line)
    return commands


def prose_of(page):
    """The page without its blocks."""
    return re.sub(r"^( *)```.*?^ *```$", "", page.read_text(encoding="utf-8"),
                  flags=re.MULTILINE | re.DOTALL)


@functools.cache
def anchors_of(page):
    """The anchors of its headings, as GitHub and GitLab make them; of HTML, its ids."""
    if page.suffix == ".html":
        return set(re.findall(r"\sid='([^']+)'", page.read_text(encoding="utf-8")))
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_of(page, head):
    """First column of the table whose head row starts with these words, without backticks."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {head} |"))
    names = []
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            break
        names += re.findall(r"`([^`]+)`", line.split("|")[1])
    return names
