"""The report as one self-contained HTML page, to send to somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphfix.model import Report, Status, TargetReport
from graphfix.report import _html_parts as parts
from graphfix.report._html_parts import escape
from graphfix.report._html_style import CSS
from graphfix.report._paths import shorten
from graphfix.report._summary import summary
from graphfix.report._words import count, error_parts, headline, lists, outcome

_OUTCOME_CLASS = {
    "clean": "clean",
    "without breaks": "clean",
    "with breaks": "breaks",
    "without a graph": "empty",
    "failed": "failed",
}

Explain = Callable[[str], str]


def render(report: Report, explain_rule: Explain | None = None) -> str:
    """The page; `explain_rule` gives each rule's words, shown as they are."""
    body = "\n".join(part for part in _body(report, explain_rule) if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>graphfix: {escape(summary(report))}</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _body(report: Report, explain_rule: Explain | None) -> Iterator[str]:
    versions = " · ".join(f"{name} {version}" for name, version in report.versions.items())
    yield (
        f'<header><h1>graphfix</h1><p class="headline">{escape(summary(report))}</p>'
        f'<p class="soft">{escape(versions)}</p></header>'
    )
    for target in report.targets:
        yield _target(target)
    if report.findings:
        yield _section("findings", parts.findings(report.findings))
    if report.fixes:
        yield _section("fixes", "".join(map(parts.fix_record, report.fixes)))
    yield _section("written", parts.bullets(map(shorten, report.written)))
    yield _section("skipped", parts.bullets(f"{shorten(path)}: {reason}" for path, reason in report.skipped))
    if explain_rule:
        yield _section("rules", _rules(report, explain_rule))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>" if body else ""


def _target(target: TargetReport) -> str:
    facts = [target.spec, count(target.graph_breaks, "graph break"), f"{count(target.ops, 'op')} captured"]
    head = (
        f'<h2>{escape(target.name)}</h2><p class="headline {_OUTCOME_CLASS[outcome(target)]}">'
        f"{escape(headline(target))}</p>"
        f'<p class="soft path">{escape(" · ".join([*facts, f"{target.seconds:.1f} s"]))}</p>'
    )
    error = _error(target) if target.status is not Status.OK else ""
    table = parts.sites(target.sites) if target.sites else ""
    judged = parts.verdict(target.verdict) if target.verdict else ""
    return f"<section>{head}{error}{table}{judged}{''.join(_notes(target))}</section>"


def _error(target: TargetReport) -> str:
    first, rest = error_parts(target)
    dump = f"<pre>{escape(rest)}</pre>" if rest else ""
    return f'<p class="failed">{escape(first)}</p>{dump}'


def _notes(target: TargetReport) -> Iterator[str]:
    for title, items in lists(target).items():
        yield parts.details(f"{title}: {len(items)}", parts.bullets(items))
    yield from (f'<p class="soft">{escape(note)}</p>' for note in target.notes)


def _rules(report: Report, explain_rule: Explain) -> str:
    everything = [site for target in report.targets for site in target.sites] + list(report.findings)
    codes = dict.fromkeys(each.rule for each in everything if each.rule)
    return "".join(parts.details(code, f"<pre>{escape(explain_rule(code))}</pre>") for code in codes)
