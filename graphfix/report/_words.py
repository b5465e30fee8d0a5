"""The sentences of a report, the same in every format."""

from __future__ import annotations

from graphfix.model import Finding, Recompile, Status, TargetReport, Verdict
from graphfix.report._paths import shorten

NO_GRAPH = "no graph was captured: this is not clean"
NO_BREAK = "no break in this log"
OUTCOMES = ("clean", "without breaks", "with breaks", "without a graph", "failed")
ARMS = ("true", "false")
"""What the two places of `Arm.reached` stand for."""


def count(number: int, noun: str) -> str:
    """`1 graph`, `2 graphs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def outcome(target: TargetReport) -> str:
    """One of OUTCOMES."""
    if target.status is not Status.OK:
        return "failed"
    if target.clean:
        return "clean"
    if target.sites:
        return "with breaks"
    return "without breaks" if target.graphs is None else "without a graph"


def headline(target: TargetReport) -> str:
    """`32 graphs, 3 places to fix, 2 with a proven rule`."""
    failed = target.status is not Status.OK
    if not target.sites and not target.graphs:
        return f"{target.status}" if failed else NO_BREAK if target.graphs is None else NO_GRAPH
    parts = [str(target.status)] if failed else []
    if target.graphs is not None:
        parts.append(count(target.graphs, "graph"))
    if target.sites:
        parts += places_to_fix(target.sites)
    elif not failed:
        breaks = [count(target.graph_breaks, "graph break"), "no places to fix"]
        parts += breaks if target.graph_breaks else ["no breaks"]
    return ", ".join(parts)


def why(finding: Finding) -> str:
    """The break's type, or for a static finding its message."""
    return finding.break_.type if finding.break_ else finding.message


def notes(finding: Finding) -> list[str]:
    """What else is known of a break, the most telling first."""
    found = finding.break_
    if found is None:
        return []
    return list(
        filter(
            None,
            (
                "hides the rest of the frame" if found.hides_rest else "",
                "hidden until the break before it is gone" if found.hidden else "",
                "in a loop" if found.in_loop else "",
                f"also causes {', '.join(found.consequences)}" if found.consequences else "",
                f"its file {found.note.partition(':')[0]}" if found.note else "",
            ),
        )
    )


def cost(finding: Finding) -> list[str]:
    """The graphs that a break ends, and how often it was seen."""
    found = finding.break_
    if found is None:
        return []
    return [*([count(found.graphs, "graph")] if found.graphs else []), f"×{found.seen}"]


def lists(target: TargetReport) -> dict[str, list[str]]:
    """What else compiling showed, under its titles; empty lists left out."""
    frames = [f"{each.function} ({_at(each.path, each.line)}): {each.reason}" for each in target.skipped_frames]
    graphs = [_placed(each.path, each.line, each.reason) for each in target.cudagraph_skips]
    found = {
        "recompiles": list(map(_recompile, target.recompiles)),
        "skipped frames": frames,
        "without a CUDA graph": graphs,
        "host syncs": [_placed(each.path, each.line, each.op) for each in target.syncs],
    }
    return {title: items for title, items in found.items() if items}


def _recompile(found: Recompile) -> str:
    """The function, the guard that failed, and what to do."""
    where = f" ({_at(found.path, found.line)})" if found.path else ""
    limit = "the limit is reached, later calls run in eager: " if found.limit else ""
    todo = f"; {found.advice}" if found.advice else ""
    return f"{found.function}{where}: {limit}{found.reason}{todo}"


def _placed(path: str | None, line: int | None, what: str) -> str:
    return f"{_at(path, line)}: {what}" if path else what


def _at(path: str, line: int | None) -> str:
    return f"{shorten(path)}:{line}" if line else shorten(path)


def error_parts(target: TargetReport) -> tuple[str, str]:
    """The sentence a failed target ended with, and what follows it (the stack of a timeout)."""
    first, _, rest = (target.error or "no reason was given").strip().partition("\n")
    return first, rest.strip("\n")


def verdict_facts(verdict: Verdict) -> str:
    """What was measured, in one line, without the judgement."""
    before, after = verdict.before, verdict.after
    facts = [
        f"{count(before.graphs, 'graph')} → {after.graphs}",
        f"{count(before.sites, 'place')} → {after.sites}",
        *(_recompiles(before.recompiles, after.recompiles)),
        "eager identical" if verdict.eager_identical else "eager differs",
        f"{_difference(verdict)} ({verdict.backend}, {verdict.device})",
    ]
    if (replays := verdict.replays) is not None and not replays.failure:
        facts.append(f"{replays.rounds} rounds of {replays.mode} within {replays.max_abs_diff or 0:.2g}")
    if verdict.arms:
        facts.append(_arms(verdict))
    return ", ".join(facts)


def _recompiles(before: int | None, after: int | None) -> list[str]:
    """How often functions were compiled again, where that changed."""
    known = before is not None and after is not None and before != after
    return [f"{count(before or 0, 'recompile')} → {after}"] if known else []


def judgement(verdict: Verdict) -> str:
    """`proven`, or `not proven: ` and every reason."""
    if verdict.ok:
        return "proven"
    reasons = [
        verdict.error,
        None if verdict.after.graphs else "no graph was captured",
        f"new breaks: {', '.join(verdict.new_breaks)}" if verdict.new_breaks else None,
        None if verdict.eager_identical else "eager results differ",
        None if verdict.within_tolerance else "compiled results are outside the tolerance",
    ]
    return "not proven: " + "; ".join(filter(None, reasons))


def places_to_fix(sites: tuple[Finding, ...]) -> list[str]:
    """`3 places to fix`, `2 with a proven rule`."""
    ruled = sum(site.rule is not None for site in sites)
    return [f"{count(len(sites), 'place')} to fix", f"{ruled or 'none'} with a proven rule"]


def _difference(verdict: Verdict) -> str:
    if verdict.compiled_max_abs_diff is None:
        return "compiled not compared"
    over = "" if verdict.within_tolerance else ", over the tolerance"
    return f"compiled max diff {verdict.compiled_max_abs_diff or 0:.2g}{over}"


def _arms(verdict: Verdict) -> str:
    ways = [way for arm in verdict.arms for way in arm.reached]
    missed = [
        f"{shorten(arm.path)}:{arm.line} never {name}"
        for arm in verdict.one_sided
        for name, reached in zip(ARMS, arm.reached, strict=False)
        if not reached
    ]
    mutated = sum(way for arm in verdict.arms for way in arm.mutated)
    notes = [f"{mutated} by mutated inputs"] if mutated else []
    notes += [f"one-sided: {', '.join(missed)}"] if missed else []
    more = f" ({'; '.join(notes)})" if notes else ""
    return f"arms {sum(ways)} of {len(ways)} witnessed{more}"
