"""A report in one line."""

from __future__ import annotations

from collections import Counter

from graphfix.model import Certainty, FixStatus, Report, Safety
from graphfix.report._words import OUTCOMES, count, outcome, places_to_fix


def summary(report: Report) -> str:
    """The last line: `2 targets: 1 clean, 1 with breaks · 3 places to fix, 2 with a proven rule`."""
    parts = [part for part in (_targets(report), _sites(report), _findings(report), _fixes(report)) if part]
    if report.skipped:
        parts.append(f"{count(len(report.skipped), 'file')} skipped")
    return " · ".join(parts)


def _targets(report: Report) -> str:
    if not report.targets:
        return ""
    outcomes = [outcome(target) for target in report.targets]
    kinds = [f"{outcomes.count(kind)} {kind}" for kind in OUTCOMES if kind in outcomes]
    return f"{count(len(outcomes), 'target')}: {', '.join(kinds)}"


def _sites(report: Report) -> str:
    # Two targets may break at the same place; it is fixed once.
    found = [site for target in report.targets for site in target.sites]
    distinct = {(site.location, site.break_ and site.break_.id): site for site in found}
    return ", ".join(places_to_fix(tuple(distinct.values()))) if distinct else ""


def _findings(report: Report) -> str:
    """`3 findings in 2 files (1 likely): 2 GF301, 1 GF101`, the most frequent first, and how many have a fix."""
    found = report.findings
    if not found:
        return "" if report.targets or report.fixes is not None else "no findings"
    files = count(len({finding.location.path for finding in found}), "file")
    likely = sum(finding.certainty is Certainty.LIKELY for finding in found)
    rules = Counter(finding.rule or "no rule" for finding in sorted(found, key=lambda finding: finding.rule or "~"))
    by_rule = ", ".join(f"{number} {rule}" for rule, number in rules.most_common())
    fixable = sum(finding.fix is not None for finding in found)
    more = f"; {fixable} with a fix" if fixable else ""
    return f"{count(len(found), 'finding')} in {files}{f' ({likely} likely)' if likely else ''}: {by_rule}{more}"


def exact_rules(report: Report) -> list[str]:
    """The rules with findings that `graphfix apply PATH` may fix."""
    certain = [one for one in report.findings if one.certainty is Certainty.CERTAIN]
    return sorted({one.rule for one in certain if one.rule and one.safety is Safety.EXACT})


def _fixes(report: Report) -> str:
    if report.fixes is None:
        return ""
    statuses = [fix.status for fix in report.fixes]
    counted = [f"{statuses.count(status)} {status}" for status in FixStatus if status in statuses]
    return f"fixes: {', '.join(counted)}" if counted else "no fixes"
