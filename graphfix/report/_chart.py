"""A bar chart as SVG, drawn here: the page fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphfix.report._html_parts import escape

_ROW, _BAR, _LEFT, _WIDTH, _RIGHT = 30, 18, 210, 420, 150


@dataclass(frozen=True, slots=True)
class Bar:
    """A labelled length, the spread around its end, and the words beside it. A class colours it."""

    label: str
    value: float
    spread: float
    words: str
    style: str


def bars(title: str, found: Sequence[Bar]) -> str:
    """Horizontal bars from zero, the longest over the whole width; nothing for no bars."""
    if not found:
        return ""
    most = max(bar.value + bar.spread / 2 for bar in found) or 1.0
    height = _ROW * len(found) + 4
    rows = "".join(_bar(bar, number, most) for number, bar in enumerate(found))
    return (
        f'<svg class="chart" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>{rows}</svg>"
    )


def _bar(bar: Bar, number: int, most: float) -> str:
    top, length = number * _ROW + (_ROW - _BAR) / 2, _WIDTH * bar.value / most
    middle, half = top + _BAR / 2, _WIDTH * bar.spread / 2 / most
    start, end = _LEFT + max(length - half, 0), _LEFT + length + half
    return (
        f'<text x="{_LEFT - 8}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect class="{bar.style}" x="{_LEFT}" y="{top:.1f}" width="{max(length, 1):.1f}" height="{_BAR}" rx="2"/>'
        f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
        f'<text x="{end + 8:.1f}" y="{middle + 4.5:.1f}">{escape(bar.words)}</text>'
    )
