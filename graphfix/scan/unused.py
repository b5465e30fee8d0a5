"""Comments that silence nothing, as findings of their own (GF001)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from graphfix.errors import nearest
from graphfix.model import Finding, Location
from graphfix.rule import Rule
from graphfix.scan.link import FileScan
from graphfix.source.suppress import UNUSED, UNUSED_NAME, Suppression, names

_BREAK_ID = re.compile(r"GB\d{0,4}")
"""What silences a break that only a run shows."""


def unused(scan: FileScan, rules: Sequence[Rule], selected: Collection[str]) -> Iterator[Finding]:
    """The comments of a file that silence nothing of what `selected` rules find in its text, or that name no rule."""
    for comment in scan.suppressions:
        place = Location(scan.path, comment.line, comment.column, comment.line, comment.end_column)
        wanted = any(other is comment or other.covers(place) for other in scan.suppressions if _excuses(other))
        idle = "" if wanted else "; ".join(_complaints(comment, scan, rules, selected))
        if idle:
            yield Finding(place, UNUSED, f"{UNUSED_NAME}: {idle}", comment.text)


def _excuses(comment: Suppression) -> bool:
    """Whether a comment asks, by code or name, that comments may silence nothing; one for all rules does not."""
    return UNUSED in (comment.codes or ()) or UNUSED_NAME in (comment.codes or ())


def _complaints(
    comment: Suppression, scan: FileScan, rules: Sequence[Rule], selected: Collection[str]
) -> Iterator[str]:
    if comment.codes == ():
        yield "the comment names no rule, and silences nothing"
    parts = [""] if comment.codes is None else comment.codes
    idle = [part for part in parts if _is_idle(part, comment, scan, rules, selected)]
    if comment.codes is None and idle:
        yield "the comment silences nothing"
    elif idle:
        yield f"{', '.join(idle)} {'silences' if len(idle) == 1 else 'silence'} nothing here"
    known = [word for rule in rules for word in (rule.code, rule.name)]
    for part in comment.codes or ():
        if not _named(part, rules) and not _BREAK_ID.fullmatch(part):
            asked = nearest(part, known)
            yield f"no rule is called {part!r}{', ' if asked else ''}{asked}"


def _is_idle(part: str, comment: Suppression, scan: FileScan, rules: Sequence[Rule], selected: Collection[str]) -> bool:
    """Whether `part` of a comment (all rules, where it is empty) stands for a selected rule and silences nothing."""
    named = _named(part, rules)
    if not any(rule.code in selected and _reads_text(rule) for rule in named):
        return False
    codes = {rule.code for rule in named}
    return not any(finding.rule in codes and comment.covers(finding.location) for finding in scan.findings)


def _named(part: str, rules: Sequence[Rule]) -> list[Rule]:
    return [rule for rule in rules if names(part, rule.code, rule.name)]


def _reads_text(rule: Rule) -> bool:
    """Whether a rule finds anything by text; a comment for one that does not serves the runs."""
    return type(rule).find is not Rule.find
