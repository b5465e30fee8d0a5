"""The pieces of the HTML page: a finding's line, its explanation, a fix's diff, a verdict. All text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable

from graphfix.model import Certainty, Finding, FixRecord, Verdict
from graphfix.report._marks import mark, visible
from graphfix.report._paths import place, shorten
from graphfix.report._words import cost, judgement, notes, verdict_facts, why

_DIFF_CLASS = {"+++": "", "---": "", "@@": "hunk", "+": "add", "-": "del"}


def escape(text: str) -> str:
    """Safe between tags and inside quoted attributes."""
    return html.escape(visible(text))


def bullets(items: Iterable[str]) -> str:
    """A list, or nothing for no items; the items are plain text."""
    rows = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{rows}</ul>" if rows else ""


def details(title: str, body: str) -> str:
    """A fold that opens on a click; `body` is HTML."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def diff(text: str) -> str:
    """A unified diff with its added and removed lines coloured."""
    lines = "".join(f'<span class="{_diff_class(line)}">{escape(line)}</span>' for line in text.splitlines())
    return f'<pre class="diff">{lines}</pre>' if lines else ""


def sites(found: Iterable[Finding]) -> str:
    """The table of the places where a target breaks."""
    heads = "".join(f"<th>{name}</th>" for name in ("site", "the line, and why", "id", "cost", "rule"))
    rows = "".join(_site(site) for site in found)
    return f'<table class="wide"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def findings(found: Iterable[Finding]) -> str:
    """The table of what was found without running anything."""
    heads = "".join(f"<th>{name}</th>" for name in ("place", "the line, and why", "rule"))
    rows = "".join(f"<tr>{_where(each)}{_line(each)}{_rule(each)}</tr>" for each in found)
    return f'<table class="wide"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def fix_record(fix: FixRecord) -> str:
    """One tried fix: what became of it, why, and its diff."""
    where = escape(f"{fix.rule} {shorten(fix.path)}:{fix.line} ({fix.safety})")
    reason = escape(f": {fix.reason}" if fix.reason else "")
    body = details("diff", diff(fix.diff)) if fix.diff else ""
    return f'<p class="path"><b class="{fix.status}">{fix.status}</b> {where}{reason}</p>{body}'


def verdict(judged: Verdict) -> str:
    """Before and after, side by side, and the judgement."""
    before, after = judged.before, judged.after
    counted = (
        ("graphs", before.graphs, after.graphs),
        ("graph breaks", before.graph_breaks, after.graph_breaks),
        ("places", before.sites, after.sites),
    )
    rows = "".join(f"<tr><th>{name}</th><td>{old}</td><td>{new}</td></tr>" for name, old, new in counted)
    style = "proven" if judged.ok else "failed"
    return (
        f'<div class="verdict {style}"><p><b class="{style}">{escape(judgement(judged))}</b></p>'
        f"<table><tr><th></th><th>before</th><th>after</th></tr>{rows}</table>"
        f'<p class="path">{escape(verdict_facts(judged))}</p></div>'
    )


def _diff_class(line: str) -> str:
    return next((name for start, name in _DIFF_CLASS.items() if line.startswith(start)), "")


def _site(site: Finding) -> str:
    found = site.break_
    name, costs = (found.id if found else None) or "–", "<br>".join(map(escape, cost(site))) or "–"
    return (
        f'<tr>{_where(site)}{_line(site)}<td data-label="id">{escape(name)}</td>'
        f'<td data-label="cost">{costs}</td>{_rule(site)}</tr>'
    )


def _where(finding: Finding) -> str:
    name = finding.break_.function if finding.break_ else finding.function
    function = f'<div class="soft">in {escape(name)}</div>' if name else ""
    folding = escape(place(finding.location)).replace("/", "/<wbr>")
    return f'<td class="path"><code>{folding}</code>{function}</td>'


def _line(finding: Finding) -> str:
    before, guilty, after = map(html.escape, mark(finding))
    marked = f"<mark>{guilty}</mark>" if guilty else ""
    more = "".join(f'<p class="breaks">{escape(note)}</p>' for note in notes(finding))
    return (
        f'<td class="line"><pre>{before}{marked}{after}</pre><p>{escape(why(finding))}</p>{more}'
        f"{_explanation(finding)}{_fix(finding)}</td>"
    )


def _explanation(finding: Finding) -> str:
    found = finding.break_
    if not found or not (found.explanation or found.hints):
        return ""
    return details("explanation", f"<p>{escape(found.explanation)}</p>{bullets(found.hints)}")


def _fix(finding: Finding) -> str:
    return details(f"fix: {finding.fix.title}", diff(finding.fix.diff)) if finding.fix else ""


def _rule(finding: Finding) -> str:
    safety = f'<div class="{finding.fix.safety}">{finding.fix.safety}</div>' if finding.fix else ""
    if finding.rule and not finding.fix:
        safety = '<div class="soft">no fix</div>'
    if finding.certainty is Certainty.LIKELY:
        safety = f'<div class="breaks">likely</div>{safety}'
    return f'<td data-label="rule">{escape(finding.rule or "–")}{safety}</td>'
