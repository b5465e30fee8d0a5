"""Joins the two arms of a branch: both run, and each value is chosen by the condition."""

from __future__ import annotations

from collections.abc import Sequence

from ._condition import Build
from ._items import Guard, Item, Log, Nested, Put, Unknown


def merged(build: Build, condition: str, yes: Sequence[Item], no: Sequence[Item]) -> list[Item]:
    """The statements that do what the arm `yes` does where the condition holds, and what `no` does elsewhere.

    An arm's statement may run before or after one of the other arm: where its own way is not taken, a value that it
    reads may be another one, but then its result is not chosen. Raises Unknown.
    """
    found: list[Item] = []
    one, other = list(yes), list(no)
    while one or other:
        if one and other and isinstance(one[0], Put) and isinstance(other[0], Put) and one[0].key == other[0].key:
            first, second = one.pop(0), other.pop(0)
            assert isinstance(first, Put)
            assert isinstance(second, Put)
            if build.text(first.form) != build.text(second.form):  # one is set in place
                found += [_alone(build, condition, first, True), _alone(build, condition, second, False)]
                continue
            found.append(Put(first.key, first.form, build.where(condition, first.value, second.value), first.old))
        elif one and (not isinstance(one[0], Put) or not _sets(other, one[0].key) or not other):
            found.append(_alone(build, condition, one.pop(0), True))
        elif other and (not isinstance(other[0], Put) or not _sets(one, other[0].key)):
            found.append(_alone(build, condition, other.pop(0), False))
        elif one and isinstance(one[0], Put) and one[0].old:
            found.append(_alone(build, condition, one.pop(0), True))
        else:
            raise Unknown
    return found


def _sets(items: Sequence[Item], key: str) -> bool:
    return any(isinstance(item, Put) and item.key == key for item in items)


def _alone(build: Build, condition: str, item: Item, holds: bool) -> Item:
    """A statement of one arm, which leaves the value as it was where that arm is not taken."""
    if isinstance(item, Put):
        if not item.old:
            raise Unknown
        values = (item.value, item.old) if holds else (item.old, item.value)
        return Put(item.key, item.form, build.where(condition, *values), item.old)
    if isinstance(item, Nested):
        body, orelse = (tuple(_alone(build, condition, i, holds) for i in part) for part in (item.body, item.orelse))
        return Nested(item.test, body, orelse)
    if isinstance(item, Log):
        asked = condition if holds else f"not {condition}"
        return Log(item.text, f"{asked} and {item.asked}" if item.asked else asked)
    if isinstance(item, Guard):
        passed = f"~{condition}" if holds else condition
        return Guard(item.message, f"{passed} | {item.holds}" if item.holds else passed)
    return item


def statements(build: Build, items: Sequence[Item]) -> str:
    """The template's lines."""
    lines: list[str] = []
    logged = ""
    for item in items:
        if isinstance(item, Put):
            lines += build.wrapped(item.form.replace("@", item.value)).splitlines()
        elif isinstance(item, Nested):
            lines += [f"if {item.test}:", *_indented(statements(build, item.body) or "pass")]
            if item.orelse:
                lines += ["else:", *_indented(statements(build, item.orelse))]
        elif isinstance(item, Log) and item.asked:
            head = f"if not {{torch}}.compiler.is_compiling() and {item.asked}:"
            lines += [f"    {item.text}"] if logged == item.asked else [head, f"    {item.text}"]
        elif isinstance(item, Guard):
            lines += build.wrapped(f"{{torch}}._assert_async({item.holds}, {item.message})").splitlines()
        else:
            lines += item.text.splitlines()
        logged = item.asked if isinstance(item, Log) else ""
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]
