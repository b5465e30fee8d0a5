"""Finds the rules: the built-in ones and those of installed rule packs."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from itertools import pairwise
from types import ModuleType

from graphfix.errors import ConfigError
from graphfix.model import Break, Safety
from graphfix.rule import Rule

GROUP = "graphfix.rules"
_ORDER = {Safety.EXACT: 0, Safety.PROVEN: 1, Safety.UNSAFE: 2}


@functools.cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code. Raises ConfigError where a pack cannot be loaded or two rules share a code."""
    modules = [importlib.import_module(f"graphfix.rules.{name}") for name in _built_in()]
    for entry in entry_points(group=GROUP):
        try:
            modules.append(entry.load())
        except Exception as error:
            raise ConfigError(f"rule pack {entry.value!r} cannot be loaded: {error}. Update or uninstall it.") from None
    rules = sorted((rule for module in modules for rule in rules_in(module)), key=lambda rule: rule.code)
    for one, other in pairwise(rules):
        if one.code == other.code:
            raise ConfigError(f"two rules are called {one.code}; uninstall one of their packs.")
    return tuple(rules)


def _built_in() -> list[str]:
    package = importlib.import_module("graphfix.rules")
    return [info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")]


def rules_in(module: ModuleType) -> Iterable[Rule]:
    """The rules that a module defines itself."""
    return [
        value()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__
    ]


def selected(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules whose code starts with one of `select` (all where it is empty) and with none of `ignore`.

    Raises ConfigError for a prefix that no rule has.
    """
    rules = all_rules()
    for prefix in (*select, *ignore):
        if not any(rule.code.startswith(prefix) or rule.name == prefix for rule in rules):
            raise ConfigError(f"no rule is called {prefix!r}; `graphfix rules` lists them.")

    def named(rule: Rule, prefixes: Sequence[str]) -> bool:
        return any(rule.code.startswith(prefix) or rule.name == prefix for prefix in prefixes)

    return tuple(rule for rule in rules if (not select or named(rule, select)) and not named(rule, ignore))


def repairing(break_: Break, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that repair this kind of break, the safest first."""
    return sorted((rule for rule in rules if break_.id in rule.repairs), key=lambda rule: _ORDER[rule.safety])
