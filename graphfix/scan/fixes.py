"""Makes the fixes of static findings: a scan is fast because it makes none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from graphfix.errors import SourceError
from graphfix.model import Finding, Fix
from graphfix.rule import Rule, Site
from graphfix.scan.static import sites
from graphfix.source.module import Module
from graphfix.source.sources import Sources

Place = tuple[str | None, int, int | None]
"""What tells the findings of one file apart: a rule's code, a line and a column."""


def with_fixes(findings: Iterable[Finding], sources: Sources, rules: Sequence[Rule]) -> list[Finding]:
    """The findings, in their order, each with the fix that its rule makes of it, if it does."""
    made = list(findings)
    by_file: dict[str, list[int]] = {}
    for at, finding in enumerate(made):
        by_file.setdefault(finding.location.path, []).append(at)
    for path, own in by_file.items():
        codes = {made[at].rule for at in own}
        try:
            found = places(sources.module(path), [rule for rule in rules if rule.code in codes])
        except SourceError:
            continue
        for at in own:
            if (one := found.get(place(made[at]))) is not None:
                made[at] = replace(made[at], fix=fix(*one))
    return made


def place(finding: Finding) -> Place:
    """Where a finding begins, and what found it."""
    return finding.rule, finding.location.line, finding.location.column


def places(module: Module, rules: Sequence[Rule]) -> dict[Place, tuple[Rule, Site]]:
    """What the rules find in a module, first to last. Raises SourceError."""
    by_code: dict[str | None, Rule] = {rule.code: rule for rule in rules}
    return {place(finding): (by_code[finding.rule], site) for finding, site in sites(module, rules)}


def fix(rule: Rule, site: Site) -> Fix | None:
    """The fix that a rule makes of a site, None where it makes none."""
    try:
        return rule.fix(site)
    except RecursionError:  # code nested so deeply that it can be parsed, and no more
        return None
