"""Finds the rules: the built-in ones and those of installed rule packs."""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from types import ModuleType

from graphfix.errors import ConfigError, nearest
from graphfix.model import Break, Safety
from graphfix.rule import Rule
from graphfix.source.suppress import UNUSED, UNUSED_NAME, names

GROUP = "graphfix.rules"
_ORDER = {Safety.EXACT: 0, Safety.PROVEN: 1, Safety.UNSAFE: 2}


@functools.cache
def all_rules(packs: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """Every rule, by code: built-in ones, those of installed packs, and of the modules named in `packs`.

    Raises ConfigError where a pack cannot be loaded or two rules share a code.
    """
    modules = [importlib.import_module(f"graphfix.rules.{name}") for name in _built_in()]
    modules += list(dict.fromkeys(map(_load, (*_installed(), *packs))))
    rules = sorted((rule for module in modules for rule in rules_in(module)), key=lambda rule: rule.code)
    for labels in ([rule.code for rule in rules], [rule.name for rule in rules]):
        for one, other in pairwise(sorted(labels)):
            if one == other:
                raise ConfigError(f"two rules are called {one}; uninstall one of their packs.")
    return tuple(rules)


def _installed() -> list[str]:
    """The packs that installed distributions name, as `module` or `module:attribute`.

    Looking for them takes importlib.metadata longer than a scan of one file takes, so it is asked only where a look
    into the folders of sys.path cannot rule them out.
    """
    if not any(map(_may_name_packs, sys.path)):
        return []
    from importlib.metadata import entry_points

    return [entry.value for entry in entry_points(group=GROUP)]


def _may_name_packs(folder: str) -> bool:
    try:
        with os.scandir(folder or ".") as entries:
            found = [entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info", ".egg"))]
    except NotADirectoryError:  # a zip file
        return True
    except OSError:
        return False
    for path in found:
        if path.endswith(".egg"):
            return True
        with suppress(OSError), open(os.path.join(path, "entry_points.txt"), "rb") as file:
            if GROUP.encode() in file.read():
                return True
    return False


def _load(value: str) -> ModuleType:
    try:
        name, _, attribute = value.partition(":")
        pack = importlib.import_module(name.strip())
        for part in filter(None, attribute.strip().split(".")):
            pack = getattr(pack, part)
    except Exception as error:
        raise ConfigError(f"rule pack {value!r} cannot be loaded: {error}. Update or uninstall it.") from None
    if not isinstance(pack, ModuleType) or not rules_in(pack):
        raise ConfigError(f"rule pack {value!r} is no module with rules; update or uninstall it.")
    return pack


def _built_in() -> list[str]:
    package = importlib.import_module("graphfix.rules")
    return [info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")]


def rules_in(module: ModuleType) -> Iterable[Rule]:
    """The rules that a module defines itself, or a package imports from its own modules; private names left out."""
    own = (module.__name__, f"{module.__name__}.")
    return [
        value()
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Rule)
        and not name.startswith("_")
        and (value.__module__ == own[0] or value.__module__.startswith(own[1]))
    ]


def selected(select: Sequence[str] = (), ignore: Sequence[str] = (), packs: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules that `select` names (all where it is empty) and `ignore` does not, by code, start of a code or name.

    Raises ConfigError for what names no rule.
    """
    check_codes((*select, *ignore), packs)
    return tuple(rule for rule in all_rules(tuple(packs)) if is_selected(rule.code, rule.name, select, ignore))


def is_selected(code: str, name: str, select: Sequence[str], ignore: Sequence[str]) -> bool:
    """Whether a rule is one of `select` (any is, where that is empty) and none of `ignore`."""
    chosen = not select or any(names(part, code, name) for part in select)
    return chosen and not any(names(part, code, name) for part in ignore)


def check_codes(parts: Iterable[str], packs: Sequence[str] = ()) -> None:
    """Raises ConfigError for a code, start of a code or name that no rule has."""
    known = [(UNUSED, UNUSED_NAME), *((rule.code, rule.name) for rule in all_rules(tuple(packs)))]
    for part in parts:
        if not part or not any(names(part, code, name) for code, name in known):
            asked = nearest(part, [word for pair in known for word in pair])
            raise ConfigError(f"no rule is called {part!r}; {asked}{' ' if asked else ''}`graphfix rules` lists them.")


def repairing(break_: Break, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that repair this kind of break or compiler failure, the safest first."""
    return sorted((rule for rule in rules if _repairs(rule, break_)), key=lambda rule: _ORDER[rule.safety])


def _repairs(rule: Rule, break_: Break) -> bool:
    if break_.id is None:
        return any(words in text for words in rule.failures for text in (break_.type, break_.explanation))
    return break_.id in rule.repairs
