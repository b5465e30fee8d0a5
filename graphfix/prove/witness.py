"""Tells which ways of a rewritten branch were taken, by the target's calls and by mutated inputs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphfix.errors import SourceError
from graphfix.model import Arm, Edit, Fix, Location, Target
from graphfix.rule import Site
from graphfix.scan.dynamic import Options, make_job, observe
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.sources import Sources

Arcs = Mapping[str, set[tuple[int, int]]]


@dataclass(frozen=True)
class Witness:
    """What runs showed of a fix: the branch it rewrites, if any, and what mutated inputs did.

    `difference`: what the fix changed on a mutated input, None where it changed nothing. `failures`: for each way
    that only mutated inputs take, the error that the original code raises there itself.
    """

    arm: Arm | None
    difference: str | None = None
    failures: tuple[str | None, ...] = (None, None)

    @property
    def one_sided(self) -> bool:
        """Whether a way of the branch stays unseen."""
        return self.arm is not None and not all(self.arm.reached)


def arm_of(branch: Location, sources: Sources, arcs: Arcs) -> Arm:
    """The branch whose condition stands at `branch`, with (taken, not taken) as the run showed them.

    An arm whose lines cannot be told apart (all on one line) counts as not reached, as do both values of a conditional
    expression, of which `witness` knows more.
    """
    pairs = arcs.get(branch.path, set())
    found = _branch_at(branch, sources)
    if found is None or not isinstance(found[1], ast.If):
        return Arm(branch.path, branch.line, (False, False))
    test, body = (range(first, last + 1) for first, last in _lines(found[1]).values())
    after = {to for start, to in pairs if start in test and to not in test}
    return Arm(branch.path, branch.line, (any(to in body for to in after), any(to not in body for to in after)))


def witness(
    target: Target, fix: Fix, site: Site, arm: Arm | None, sources: tuple[Sources, Sources], options: Options, tell: Any
) -> Witness:
    """Run the function around the site on mutated inputs, as it was and as the fix left it (`sources`: both)."""
    before, after = sources
    changed = _changed(fix, site)
    function = changed.module.function_of(changed.node)
    if function is None or _makes_anew(fix, changed.module):
        return Witness(arm)
    found = _branch_at(fix.branch, before) if fix.branch else None
    path = changed.module.path
    place = {
        "path": path,
        "first_line": min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)]),
        "branch": _place(*found) if found else None,
        "text": after.module(path).text,
    }
    seen = observe([make_job(target, options, overlay=before.patched, probe=place)], options, tell)
    if (showed := seen.facts.get("probe")) is None:
        return Witness(arm)
    if arm is None or found is None:
        return Witness(arm, showed["difference"])
    called = showed["called"] or arm.reached
    arm = replace(arm, reached=tuple(a or b for a, b in zip(arm.reached, called, strict=True)))
    new = tuple(now and not was for was, now in zip(arm.reached, showed["arms"], strict=True))
    reached = tuple(a or b for a, b in zip(arm.reached, new, strict=True))
    failures = tuple(failure if way else None for failure, way in zip(showed["failures"], new, strict=True))
    return Witness(replace(arm, reached=reached, mutated=new), showed["difference"], failures)


def _changed(fix: Fix, site: Site) -> Site:
    """The place whose function the fix changes: that of the site, or that of the nearest call which leads there."""
    place: Site | None = site
    while place is not None:
        function = place.module.function_of(place.node)
        if function is not None and any(_stands_in(edit, function, place.module) for edit in fix.edits):
            return place
        place = place.around
    return site


def _makes_anew(fix: Fix, module: Module) -> bool:
    """Whether the fix changes an `__init__`: the objects at hand are made by the old one, and the new code may need
    what only the new one gives them."""
    makers = [one for one in ast.walk(module.tree) if isinstance(one, FUNCTIONS) and one.name == "__init__"]
    return any(_stands_in(edit, maker, module) for maker in makers for edit in fix.edits)


def _stands_in(edit: Edit, function: ast.FunctionDef | ast.AsyncFunctionDef, module: Module) -> bool:
    line = module.text.count("\n", 0, edit.start) + 1
    return edit.path == module.path and function.lineno < line <= (function.end_lineno or line)


def _place(module: Module, node: ast.If | ast.IfExp) -> dict[str, Any]:
    """What tells the ways of a branch apart: the lines that follow an `if`, the values of another condition."""
    if isinstance(node, ast.If):
        return _lines(node)
    test = node.test
    return {"asked": [test.lineno, test.col_offset, test.end_lineno, test.end_col_offset], "source": module.text}


def _lines(node: ast.If) -> dict[str, list[int]]:
    """First and last line of the condition, and of the arm taken when it is true."""
    return {
        "test": [node.test.lineno, node.test.end_lineno or node.test.lineno],
        "body": [node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno],
    }


def _branch_at(branch: Location, sources: Sources) -> tuple[Module, ast.If | ast.IfExp] | None:
    try:
        module = sources.module(branch.path)
        nodes = ast.walk(module.tree)
    except SourceError:
        return None
    branches = (node for node in nodes if isinstance(node, ast.If | ast.IfExp))
    return next(((module, node) for node in branches if module.location(node.test) == branch), None)
