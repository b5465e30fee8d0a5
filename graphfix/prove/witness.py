"""Tells which arms of a rewritten branch the target's calls took, from the traced lines of the eager run."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from graphfix.errors import SourceError
from graphfix.model import Arm, Location
from graphfix.source.sources import Sources

Arcs = Mapping[str, set[tuple[int, int]]]


def arm_of(branch: Location, sources: Sources, arcs: Arcs) -> Arm:
    """The branch whose condition stands at `branch`, with (taken, not taken) as the run showed them.

    An arm whose lines cannot be told apart (all on one line) counts as not reached.
    """
    node = _branch_at(branch, sources)
    pairs = arcs.get(branch.path, set())
    if node is None:
        return Arm(branch.path, branch.line, (False, False))
    test = range(node.test.lineno, (node.test.end_lineno or node.test.lineno) + 1)
    body = range(node.body[0].lineno, (node.body[-1].end_lineno or node.body[-1].lineno) + 1)
    after = {to for start, to in pairs if start in test and to not in test}
    return Arm(branch.path, branch.line, (any(to in body for to in after), any(to not in body for to in after)))


def _branch_at(branch: Location, sources: Sources) -> ast.If | None:
    try:
        module = sources.module(branch.path)
        nodes = ast.walk(module.tree)
    except SourceError:
        return None
    return next((n for n in nodes if isinstance(n, ast.If) and module.location(n.test) == branch), None)
