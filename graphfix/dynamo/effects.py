"""Watches what a call does that neither its output nor its modules show: what it prints and logs, changed globals."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from graphfix.dynamo.compare import Leaf, compare, snapshot

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?")
_ITERATES = (list.__iter__, tuple.__iter__, dict.__iter__, OrderedDict.__iter__)
_GIVES = (dict.values, OrderedDict.values)
NOT_USERS = sys.stdlib_module_names | {"torch", "numpy", "graphfix", "rules"}
"""Packages of which no object is the user's own."""


@contextlib.contextmanager
def watch_effects(functions: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The dict yielded holds, after the block, `printed`, `logged` and `globals`.

    What is printed (to `sys.stdout`) and logged are texts with every number in them as `#`: they may be times. Globals
    are the changes of plain ones in the packages that `functions` come from and name.
    """
    effects: dict[str, Any] = {}
    packages = frozenset(package for function in functions for package in _packages(function))
    before, printed = _globals(packages), _Copy(sys.stdout)
    with _logged() as logged, contextlib.redirect_stdout(printed):
        yield effects
    found = changed(before, _globals(packages))
    effects["printed"] = _NUMBER.sub("#", printed.getvalue())
    effects["logged"] = logged
    effects["globals"] = {name: _change(before.get(name), value) for name, value in found.items()}


def difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What is first other in the effects of two calls, in words."""
    if was["printed"] != now["printed"]:
        return f"prints {now['printed']!r}, printed {was['printed']!r}"
    if was["logged"] != now["logged"]:
        return f"logs {now['logged']}, logged {was['logged']}"
    found = compare(was["globals"], now["globals"], exact=True).difference
    return f"changes globals otherwise: {found}" if found else None


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshots in `after` that are new or differ from those in `before`."""
    same = {
        key for key in before.keys() & after.keys() if compare(before[key], after[key], exact=True).difference is None
    }
    return {key: value for key, value in after.items() if key not in same}


def _change(before: Any, after: Any) -> Any:
    """What a call did to a global, by two snapshots of it: what it counted on, put in and took out, floats without
    their values (they may be times). What the global held before is left out: other runs put that there."""
    if isinstance(after, Leaf):
        counts = isinstance(before, Leaf) and before.type == after.type == "int"
        return Leaf("int", after.value - before.value) if counts else _without_float(after)
    if isinstance(after, dict):
        was = before if isinstance(before, dict) else {}
        gone = {key: Leaf("nothing", None) for key in was if key not in after}
        return gone | {key: _change(was.get(key), one) for key, one in changed(was, after).items()}
    if isinstance(after, list):
        held = len(before) if isinstance(before, list) else 0
        return [Leaf("int", len(after) - held), *(_change(None, one) for one in after[held:])]
    return tuple(_change(None, one) for one in after) if isinstance(after, tuple) else after


def without_floats(seen: Any) -> Any:
    """A snapshot, its floats without their values (they may be times)."""
    return _change(None, seen)


def _without_float(leaf: Leaf) -> Leaf:
    return Leaf("float", None) if leaf.type == "float" else leaf


class _Copy(io.StringIO):
    """Keeps what is written and hands it on."""

    def __init__(self, usual: Any) -> None:
        super().__init__()
        self._usual = usual

    def write(self, text: str) -> int:
        self._usual.write(text)
        return super().write(text)


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """A line for every record that a logger lets through, whether any handler shows it or not."""
    lines: list[str] = []
    usual = logging.Logger.handle

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):  # as logging does: a message that cannot be made stops nobody
            lines.append(_NUMBER.sub("#", f"{record.name} {record.levelname}: {record.getMessage()}"))
        usual(self, record)

    logging.Logger.handle = handle  # type: ignore[method-assign]
    try:
        yield lines
    finally:
        logging.Logger.handle = usual  # type: ignore[method-assign]


def _packages(function: Any) -> Iterator[str]:
    """The top-level packages that a function comes from, and those of what its globals name."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    module = sys.modules.get(getattr(plain, "__module__", None) or type(function).__module__)
    for value in [module, *vars(module).values()] if module else []:
        name = None
        with contextlib.suppress(Exception):  # an object that stands for a module may fail to import it
            name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        if isinstance(name, str) and (package := name.partition(".")[0]) not in NOT_USERS:
            yield package


def _globals(packages: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages:
            # a plain copy makes no objects on the way, for which garbage may be collected: Dynamo's takes globals away
            for key, value in vars(module).copy().items():
                with contextlib.suppress(Exception):  # what cannot be looked at is not compared
                    if key[:2] != "__" and is_plain(value):
                        found[f"{name}.{key}"] = snapshot(value)
    return found


def is_plain(value: Any, depth: int = 3) -> bool:
    """Whether a value is a tensor or number or text, or holds nothing else. A container that makes what it holds when
    it is asked is none."""
    if value is None or isinstance(value, torch.Tensor | bool | int | float | complex | str):
        return True
    if not isinstance(value, list | tuple | dict) or not depth:
        return False
    if type(value).__iter__ not in _ITERATES or (isinstance(value, dict) and type(value).values not in _GIVES):
        return False
    return all(is_plain(one, depth - 1) for one in (value.values() if isinstance(value, dict) else value))
