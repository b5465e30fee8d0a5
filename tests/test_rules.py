"""Runs every case of every built-in rule: the break is real, the repair exact, the proof complete."""

from __future__ import annotations

import re

import pytest

from graphfix.registry import all_rules
from graphfix.rule import Finds, Rule
from graphfix.testing import check_rule

HEADINGS = ("What it does", "Why it breaks the graph", "Example", "Safety")


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_cases(rule: Rule) -> None:
    problems = check_rule(rule)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_words(rule: Rule) -> None:
    """Every rule explains itself under the four headings, in order."""
    found = re.findall(r"^    (\S.*):$", rule.__doc__ or "", re.MULTILINE)
    assert tuple(found) == HEADINGS[1:]
    assert (rule.__doc__ or "").startswith(HEADINGS[0])
    assert re.fullmatch(r"GF\d{3}", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.name)
    assert not rule.only_finds or any(isinstance(case, Finds) for case in rule.cases)
