"""docs/matrix.md and docs/matrix.html, from the reports of `toomany grade`."""

import html
import json
import platform
import subprocess

SIGNS = {
    "right": "✓",
    "wrong": "✗",
    "non-strict": "~",
    "informational": "i",
    "questionable": "?",
    "not applicable": "·",
    "left out": "–",
}
WORDS = {
    "right": "right",
    "wrong": "wrong",
    "non-strict": "good clients disagree",
    "informational": "for information",
    "questionable": "runs disagree, or too little was seen",
    "not applicable": "does not apply to this client",
    "left out": "left out",
}


def summary(report):
    """One line of a report, for the terminal."""
    groups = ", ".join(f"{group['group']} {group['grade']}" for group in report["groups"] if group["grade"])
    return f"{report['grade']}   ({groups}; {report['time']} time, {report['wall_ms'] / 1000:.0f} s)"


def rule(report):
    rules = [report[name]["sentence"] for name in ("rule", "loop_rule") if report.get(name)]
    return "; and in a loop around that: ".join(rules)


def seconds(ns):
    return "?" if ns is None else f"{ns / 1e9:.3f}".rstrip("0").rstrip(".") + " s"


def evidence_lines(probe):
    """The starts of a probe: what was answered when, one line a start."""
    for start in probe.get("starts", []):
        for call in start["calls"]:
            parts, before = [], None
            for attempt in call["attempts"]:
                if before is not None:
                    parts.append(seconds(attempt["arrived_ns"] - before))
                status = attempt["status"] or "no status"
                parts.append(f"{status} {attempt['code']}" if attempt["code"] else str(status))
                before = attempt["answered_ns"] if attempt["answered_ns"] is not None else attempt["arrived_ns"]
            ending = "timed out" if start["timed_out"] else f"exit code {start['exit_code']}"
            yield f"seed {start['seed']}: {' → '.join(parts)}; {ending}"


def anchor(client, probe):
    return f"{client['id']}--{probe['id'].replace('/', '--')}"


def load(folder, clients):
    found = []
    for client, version in clients:
        path = folder / f"{client['id']}.json"
        if path.exists():
            found.append((client, version, json.loads(path.read_text())))
    return found


def of_id(report, probe_id):
    return next((probe for probe in report["probes"] if probe["id"] == probe_id), None)


def missing_lines(clients, found, failures):
    there = {client["id"] for client, _, _ in found}
    for client, version in clients:
        if client["id"] not in there:
            yield f"{client['id']} {version}: {failures.get(client['id'], 'not graded yet')}"


def machine():
    """What the page says of where it was made; the versions of what runs the programs."""
    said = [f"Python {platform.python_version()}"]
    for command in (["node", "--version"], ["go", "version"], ["java", "-version"], ["rustc", "--version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        line = (done.stdout or done.stderr).splitlines()[0]
        said.append(f"Node.js {line}" if command[0] == "node" else line)
    return "; ".join(said)


def markdown(clients, found, failures):
    lines = [
        "# How OpenAI clients behave under rate limits",
        "",
        "Made by [`script/matrix`](../script/matrix): small programs with each client's defaults",
        "([examples/matrix](../examples/matrix)), graded by [`toomany grade`](grade.md). What was seen in each",
        "cell, answer by answer, is in [matrix.html](matrix.html); defects, checked by hand against the source",
        "of the client, are in [findings.md](findings.md). A grade says how a client's *defaults* meet these",
        "probes, and no more.",
        "",
        "| client | version | grade | its rule, as its delays show it |",
        "| --- | --- | --- | --- |",
    ]
    for client, version, report in found:
        note = f" ({client['note']})" if "note" in client else ""
        lines.append(f"| {client['id']}{note} | {version} | {report['grade']} | {rule(report) or '–'} |")
    lines += ["", "Signs: " + ", ".join(f"{SIGNS[verdict]} {WORDS[verdict]}" for verdict in SIGNS) + ".", ""]
    left_out = list(missing_lines(clients, found, failures))
    if left_out:
        lines += ["Not graded:", ""] + [f"- {line}" for line in left_out] + [""]
    lines += ["Clients, in the order of the columns: "
              + ", ".join(f"{i + 1} {client['id']}" for i, (client, _, _) in enumerate(found)) + ".", ""]
    heads = " | ".join(str(i + 1) for i in range(len(found)))
    group = None
    for first in found[0][2]["probes"]:
        if first["group"] != group:
            group = first["group"]
            lines += ["", f"## {group}", "", f"| probe | {heads} |", "| --- |" + " :-: |" * len(found)]
        cells = []
        for client, _, report in found:
            probe = of_id(report, first["id"])
            cells.append(f"[{SIGNS[probe['verdict']]}](matrix.html#{anchor(client, probe)})" if probe else "")
        name = f"**{first['id'].split('/', 1)[1]}** {first['requirement'].replace('|', '/')}"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"Run with {machine()}.", ""]
    return "\n".join(lines)


STYLE = """
:root { color-scheme: light dark; --line: #8884; --right: #2a8a4a; --wrong: #c8372d; --other: #9a7b1c; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { border-bottom: 1px solid var(--line); padding: .25rem .4rem; }
thead th { position: sticky; top: 0; background: Canvas; vertical-align: bottom; }
.client { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: 500; text-align: left; }
td.cell { text-align: center; } td.cell a { text-decoration: none; font-weight: 700; display: block; }
.right { color: var(--right); } .wrong { color: var(--wrong); }
.non-strict, .questionable { color: var(--other); }
.informational, .not-applicable, .left-out { color: #888; }
.group th { text-align: left; padding-top: 1rem; font-size: 1.1em; }
.probe { max-width: 30rem; } .probe b { font-weight: 600; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
article { margin: .8rem 0 .8rem 1rem; } article:target { outline: 2px solid Highlight; outline-offset: .4rem; }
pre { margin: .2rem 0; white-space: pre-wrap; font-size: 13px; } .scroll { overflow-x: auto; }
"""


def page_html(clients, found, failures):
    escape = html.escape
    out = ["<!doctype html><html lang=en><meta charset=utf-8>",
           "<meta name=viewport content='width=device-width'>",
           f"<title>OpenAI clients under rate limits</title><style>{STYLE}</style>",
           "<h1>How OpenAI clients behave under rate limits</h1>",
           "<p>Each client with its defaults, graded by <code>toomany grade</code>. A cell leads to what was seen.</p>",
           "<p>" + ", ".join(f"<b class='{verdict.replace(' ', '-')}'>{sign}</b> {WORDS[verdict]}"
                             for verdict, sign in SIGNS.items()) + ".</p>"]
    for line in missing_lines(clients, found, failures):
        out.append(f"<p>Not graded: {escape(line)}</p>")
    out.append("<div class=scroll><table><thead><tr><th></th>")
    for client, version, _ in found:
        out.append(f"<th><a class=client href='#{client['id']}'>{escape(client['id'])} {escape(version)}</a></th>")
    out.append("</tr><tr><th>grade</th>" + "".join(f"<th>{escape(report['grade'])}</th>" for _, _, report in found)
               + "</tr></thead>")
    group = None
    for first in found[0][2]["probes"]:
        if first["group"] != group:
            group = first["group"]
            out.append(f"<tr class=group><th colspan={len(found) + 1}>{escape(group)}</th></tr>")
        out.append(f"<tr><td class=probe><b>{escape(first['id'].split('/', 1)[1])}</b> "
                   f"{escape(first['requirement'])}</td>")
        for client, _, report in found:
            probe = of_id(report, first["id"])
            if probe is None:
                out.append("<td></td>")
                continue
            verdict = probe["verdict"]
            out.append(f"<td class=cell><a class='{verdict.replace(' ', '-')}' href='#{anchor(client, probe)}' "
                       f"title='{escape(probe['seen'] or verdict, quote=True)}'>{SIGNS[verdict]}</a></td>")
        out.append("</tr>")
    out.append("</table></div>")
    for client, version, report in found:
        out.append(f"<section id='{client['id']}'><h2>{escape(client['id'])} {escape(version)}: "
                   f"{escape(report['grade'])}</h2>")
        if "note" in client:
            out.append(f"<p>{escape(client['note'])}</p>")
        out.append(f"<p>{escape(rule(report))}</p>")
        for probe in report["probes"]:
            verdict = probe["verdict"]
            out.append(f"<article id='{anchor(client, probe)}'><b class='{verdict.replace(' ', '-')}'>{SIGNS[verdict]} "
                       f"{escape(verdict)}</b> <b>{escape(probe['id'])}</b> {escape(probe['requirement'])}"
                       f"<br>Sent: {escape(probe['sent'])}. Seen: {escape(probe['seen'] or 'nothing')}.")
            lines = list(evidence_lines(probe))
            if lines:
                out.append("<pre>" + escape("\n".join(lines[:10])) + "</pre>")
            out.append("</article>")
        out.append("</section>")
    out.append(f"<p>Run with {escape(machine())}.</p></html>")
    return "\n".join(out) + "\n"


def write(output, folder, clients, failures):
    """The two pages, to `output`, from the reports in `folder`; none where there is no report at all."""
    found = load(folder, clients)
    if not found:
        return
    (output / "matrix.md").write_text(markdown(clients, found, failures))
    (output / "matrix.html").write_text(page_html(clients, found, failures))
