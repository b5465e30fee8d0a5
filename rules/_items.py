"""What the arms of a branch do, statement by statement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Put:
    """Something that gets a value. `form` is the statement, `@` its value; `old` is what it held, empty where it may
    have held nothing; `key` tells the same place in the other arm."""

    key: str
    form: str
    value: str
    old: str


@dataclass(frozen=True)
class Plain:
    """Statements that may run whichever way is taken: nothing behind the branch sees what they do."""

    text: str


@dataclass(frozen=True)
class Log:
    """Log calls, for eager code only, where all of `asked` holds."""

    text: str
    asked: str = ""


@dataclass(frozen=True)
class Guard:
    """An exception, and the tensor that is true where it is not raised; empty for always raised."""

    message: str
    holds: str = ""


@dataclass(frozen=True)
class Nested:
    """An `if` that Python decides, inside an arm."""

    test: str
    body: tuple[Item, ...]
    orelse: tuple[Item, ...]


Item = Put | Plain | Log | Guard | Nested


class Unknown(Exception):
    """An arm does something that cannot be put so."""
