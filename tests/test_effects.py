"""What calls print, log and leave in globals, as far as it is compared."""

from __future__ import annotations

import contextlib
import logging
import sys
import types
from collections import OrderedDict, defaultdict
from typing import Any

import pytest

pytest.importorskip("torch")

from graphfix.dynamo import effects

pytestmark = pytest.mark.torch

SOURCE = """
import logging

SEEN, COUNT, LAST, STEP = [], 0, 0.0, 1
_LOG = logging.getLogger("effects")
_LOG.propagate = False

def f(x, time):
    global COUNT, LAST
    COUNT += STEP
    LAST = time
    SEEN.append(time)
    print(f"took {time} s at {object()}")
    _LOG.warning("x is %s", x)
    if x is None:
        raise ValueError("no x")
"""


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("users_code")
    monkeypatch.setitem(sys.modules, "users_code", module)
    exec(SOURCE, vars(module))
    return module


def seen(user: types.ModuleType, *arguments: Any) -> dict[str, Any]:
    with effects.watch_effects([user.f]) as found, contextlib.suppress(ValueError):
        user.f(*arguments)
    return found


def test_times_and_addresses_do_not_count(user: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert effects.difference(seen(user, "a", 0.25), seen(user, "a", 1e-05)) is None
    assert capsys.readouterr().out.count("took") == 2, "it is printed as well"


def test_what_else_differs_is_said(user: types.ModuleType) -> None:
    usual = seen(user, "a", 0.25)
    assert effects.difference(usual, seen(user, "b", 0.25)) == (
        "logs ['effects WARNING: x is b'], logged ['effects WARNING: x is a']"
    )
    assert "prints 'took" in (effects.difference(usual, seen(user, "a", "long")) or "")
    longer = {**usual, "globals": {**usual["globals"], "users_code.SEEN": []}}
    assert effects.difference(usual, longer) == "changes globals otherwise: users_code.SEEN has 0 items, had 2"


def test_what_is_taken_out_of_a_global_counts(user: types.ModuleType) -> None:
    user.TABLE = {"a": [1], "b": (2.0, "x")}
    user.f = lambda key: user.TABLE.pop(key)
    user.f.__module__ = "users_code"
    both = []
    for key in ("a", "b"):
        user.TABLE = {"a": [1], "b": (2.0, "x")}
        with effects.watch_effects([user.f]) as found:
            user.f(key)
        both.append(found)
    assert effects.difference(both[0], both[0]) is None
    assert "users_code.TABLE" in (effects.difference(*both) or "")


def test_what_runs_before_left_in_globals_does_not_count(user: types.ModuleType) -> None:
    first, second = seen(user, "a", 0.25), seen(user, "a", 0.5)
    assert user.COUNT == len(user.SEEN) == 2
    assert effects.difference(first, second) is None
    user.STEP = 2  # of the count
    assert effects.difference(first, seen(user, "a", 0.75)) == "changes globals otherwise: users_code.COUNT is 2, was 1"


class Lazy(dict[str, int]):
    """Makes its values when it is asked."""

    def values(self) -> Any:
        raise ValueError("cannot be made")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": [1, (2.0, "x")]}, True),
        (defaultdict(int, a=1), True),
        (OrderedDict(a=None), True),
        (Lazy(a=1), False),
        ([Lazy(a=1)], False),
        ([object()], False),
        ({1, 2}, False),
    ],
)
def test_what_counts_as_plain(value: Any, plain: bool) -> None:
    assert effects.is_plain(value) is plain


def test_a_call_that_raises_has_effects_too(user: types.ModuleType) -> None:
    handle = logging.Logger.handle
    found = seen(user, None, 0.25)
    assert found["logged"] == ["effects WARNING: x is None"]
    assert "users_code.COUNT" in found["globals"]
    assert logging.Logger.handle is handle
