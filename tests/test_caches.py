"""Caches that compiled code fills early and constants that a rewrite adds are no difference; other state is."""

from __future__ import annotations

from typing import Any

from graphfix.dynamo.caches import without_early_caches, without_new_constants
from graphfix.dynamo.compare import compare, snapshot


def states(*attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"state": {"attributes": snapshot(one), "buffers": snapshot({})}} for one in attributes]


def differs(eager: list[dict[str, Any]], compiled: list[dict[str, Any]]) -> bool:
    without_early_caches(eager, compiled)
    return compare(eager, compiled, exact=False).difference is not None


def test_a_cache_filled_one_call_early_is_no_difference() -> None:
    assert not differs(states({"a": 1}, {"a": 1, "long": 2.0}), states({"a": 1, "long": 2.0}, {"a": 1, "long": 2.0}))


def test_the_order_in_which_caches_are_filled_is_no_difference() -> None:
    eager = states({"a": 1}, {"a": 1, "b": 3, "long": 2.0})
    assert not differs(eager, states({"a": 1, "long": 2.0}, {"a": 1, "long": 2.0, "b": 3}))


def test_an_attribute_that_eager_never_sets_is_a_difference() -> None:
    assert differs(states({"a": 1}, {"a": 1}), states({"a": 1, "long": 2.0}, {"a": 1, "long": 2.0}))


def test_a_cache_filled_with_another_value_is_a_difference() -> None:
    assert differs(states({"a": 1}, {"a": 1, "long": 2.0}), states({"a": 1, "long": 3.0}, {"a": 1, "long": 3.0}))


def test_a_cache_that_changes_later_is_a_difference() -> None:
    assert differs(states({}, {"long": 2.0}), states({"long": 2.0}, {"long": 4.0}))


def test_an_attribute_that_compiled_code_lacks_is_a_difference() -> None:
    assert differs(states({"long": 2.0}), states({}))


def added(original: list[dict[str, Any]], patched: list[dict[str, Any]]) -> list[list[str]]:
    return [[key.strip("[']") for key in state["attributes"]] for state in without_new_constants(original, patched)]


def test_a_constant_that_a_rewrite_adds_is_left_out_and_the_record_stays() -> None:
    patched = states({"a": 1, "width_number": 3}, {"a": 2, "width_number": 3})
    assert added(states({"a": 1}, {"a": 2}), patched) == [["a"], ["a"]]
    assert len(patched[0]["state"]["attributes"]) == 2


def test_an_added_attribute_that_a_call_changes_or_sets_stays_in() -> None:
    assert added(states({}, {}), states({"steps": 1}, {"steps": 2})) == [["steps"], ["steps"]]
    assert added(states({}, {}), states({}, {"late": 2})) == [[], ["late"]]


def test_an_attribute_that_the_original_has_stays_in() -> None:
    assert added(states({"a": 1}), states({"a": 2})) == [["a"]]


def test_a_plain_attribute_may_become_a_buffer() -> None:
    patched = [{"state": {"attributes": snapshot({"b": 2}), "buffers": snapshot({"a": 1})}}]
    (state,) = without_new_constants(states({"a": 1, "b": 2}), patched)
    assert compare(states({"a": 1, "b": 2})[0]["state"], state, exact=True).difference is None
    (state,) = without_new_constants(states({"b": 2}), patched)
    assert list(state["buffers"]) == ["['a']"]
    (state,) = without_new_constants(states({"a": 3, "b": 2}), patched)
    assert compare(states({"a": 3, "b": 2})[0]["state"], state, exact=True).difference is not None
