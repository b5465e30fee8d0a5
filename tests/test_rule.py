"""Rewrites of several places become one."""

from __future__ import annotations

from graphfix.model import Edit
from graphfix.rule import Rewrite, Site

FIRST = Rewrite((Edit("a.py", 0, 3, "x"), Edit("a.py", 9, 9, "import")))
SECOND = Rewrite((Edit("a.py", 4, 6, "y"), Edit("a.py", 9, 9, "import")))


def test_together_keeps_the_edits_of_each_and_shared_ones_once() -> None:
    both = Site.together(SECOND, FIRST)
    assert both is not None
    assert [(edit.start, edit.text) for edit in both.edits] == [(0, "x"), (4, "y"), (9, "import")]


def test_together_gives_nothing_where_one_is_missing_or_two_overlap() -> None:
    assert Site.together(FIRST, None) is None
    assert Site.together(FIRST, Rewrite((Edit("a.py", 2, 5, "z"),))) is None
    assert Site.together(FIRST, Rewrite((Edit("a.py", 9, 9, "another import"),))) is None
    assert Site.together(FIRST, Rewrite((Edit("b.py", 2, 5, "z"),))) is not None
