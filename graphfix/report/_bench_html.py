"""A bench as one self-contained HTML page with its charts."""

from __future__ import annotations

from collections.abc import Iterator

from graphfix.measured import Bench, TargetTiming
from graphfix.report import bench as plain
from graphfix.report._chart import Bar, bars
from graphfix.report._html_parts import bullets, escape
from graphfix.report._html_style import CSS
from graphfix.report._paths import shorten

_CHART = """
.chart { width: 100%; max-width: 50rem; margin-top: .75rem; font: 13px system-ui, sans-serif; }
.chart text { fill: var(--ink); } .chart line { stroke: var(--ink); stroke-width: 1.5; }
.chart .eager { fill: var(--soft); } .chart .asis { fill: var(--warn); }
.chart .fixed, .chart .plan { fill: var(--good); } .chart .first { fill: var(--line); }
"""


def render(bench: Bench) -> str:
    """The page."""
    versions = " · ".join(f"{name} {version}" for name, version in bench.versions.items())
    body = "\n".join(_target(target) for target in bench.targets)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>graphfix bench</title>\n<style>{CSS}{_CHART}</style>\n</head>\n<body>\n"
        f'<header><h1>graphfix bench</h1><p class="soft">{escape(f"{versions} · {bench.backend}")}</p></header>\n'
        f"{body}\n</body>\n</html>\n"
    )


def _target(target: TargetTiming) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in plain.HEADS)
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in plain.rows(target))
    table = "".join(f"<tr>{row}</tr>" for row in cells)
    code = f"<pre>{escape(chr(10).join(target.code))}</pre>" if target.code else ""
    return (
        f'<section><h2>{escape(target.name)}</h2><p class="soft path">{escape(shorten(target.spec))}, '
        f"{target.rounds} rounds in turns</p>{_charts(target)}"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{table}</tbody></table>{code}{bullets(plain.notes(target))}"
        "</section>"
    )


def _charts(target: TargetTiming) -> str:
    steady = bars(f"{target.name}: a run, median and spread", list(_steady(target)))
    first = bars(f"{target.name}: first run with empty caches", list(_first(target)))
    return f"<h3>A run</h3>{steady}<h3>The first run</h3>{first}" if steady else ""


def _steady(target: TargetTiming) -> Iterator[Bar]:
    for arm in target.arms:
        for number, call in enumerate(arm.calls):
            faster = plain.ratio(target, arm, number)
            words = plain.seconds(call.steady.median) + (f", {faster:.2f}×" if faster is not None else "")
            label = arm.name if len(arm.calls) == 1 else f"{arm.name}, call {number + 1}"
            yield Bar(label, call.steady.median, call.steady.spread, words, arm.kind.replace(" ", ""))


def _first(target: TargetTiming) -> Iterator[Bar]:
    for arm in target.arms:
        for call in arm.calls[:1]:
            yield Bar(arm.name, call.first, 0.0, plain.seconds(call.first), "first")
