"""Records in, text out: every output format renders one `Report`, and finds nothing out on its own."""

from __future__ import annotations

from collections.abc import Callable

from graphfix.model import Report

FORMATS = ("text", "json", "sarif", "github", "html")

Explain = Callable[[str], str]


def render(
    report: Report,
    format: str,
    *,
    width: int | None = None,
    color: bool = False,
    explain_rule: Explain | None = None,
) -> str:
    """The report in one of FORMATS, ending with a newline; ValueError for a format that is none of them.

    `width` and `color` matter to text only; a width of None is the terminal's, or 100 where there is none.
    `explain_rule` gives a rule's words (Markdown) for its code: SARIF and HTML carry them along.
    Lone surrogates (a path that is not UTF-8) come out as `\\udc80`, so that any UTF-8 stream takes the result.
    """
    text = _render(report, format, width, color, explain_rule)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _render(report: Report, format: str, width: int | None, color: bool, explain_rule: Explain | None) -> str:
    # One import per format: `--format json` must not pay for rich.
    if format == "text":
        from graphfix.report import text

        return text.render(report, width=width, color=color)
    if format == "json":
        from graphfix.report import json

        return json.render(report)
    if format == "sarif":
        from graphfix.report import sarif

        return sarif.render(report, explain_rule)
    if format == "github":
        from graphfix.report import github

        return github.render(report)
    if format == "html":
        from graphfix.report import html

        return html.render(report, explain_rule)
    raise ValueError(f"There is no output format {format!r}. Choose one of {', '.join(FORMATS)}.")
