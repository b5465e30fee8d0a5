"""`graphfix explain` has words for every rule and every break id that torch knows."""

from __future__ import annotations

import re

import pytest

from graphfix.commands.words import explain
from graphfix.errors import UsageError
from graphfix.message import registry
from graphfix.registry import all_rules
from graphfix.rule import Rule

IDS = sorted(registry())


def test_the_registry_is_read() -> None:
    assert {"GB0124", "GB0170", "GB7000"} <= set(IDS)


@pytest.mark.parametrize("id_", IDS)
def test_every_id_is_explained(id_: str) -> None:
    first, _, rest = explain(id_).partition("\n")
    assert first == f"{id_} {registry()[id_][0]['Gb_type']}"
    explanation = rest.strip().split("\n\nHint: ")[0].split("\n\nDynamo gives no hint.")[0]
    assert explanation, "no explanation"
    assert not re.search(r'" *\+|\+ *f?"|\s{9}', rest), "left over from the source the registry was copied from"


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_an_id_names_the_rules_that_repair_it(rule: Rule) -> None:
    for id_ in rule.repairs & set(IDS):
        assert f"  {rule.code} {rule.name}" in explain(id_)


def test_hints_that_the_registry_cuts_are_whole_again() -> None:
    assert "capture_scalar_outputs = True` or `export TORCHDYNAMO_CAPTURE_SCALAR_OUTPUTS=1` to incl" in explain(
        "GB0124"
    )


def test_ids_are_taken_as_people_write_them() -> None:
    assert explain("gb124") == explain("GB0124") == explain("gb0124")


@pytest.mark.parametrize("code", ["GB9999", "GF999", "GB", "nothing"])
def test_what_is_not_known_is_one_sentence(code: str) -> None:
    with pytest.raises(UsageError):
        explain(code)
