"""`graphfix explain` and `graphfix rules`: words about rules and break ids."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from graphfix.errors import UsageError
from graphfix.message import CONSEQUENCES, registry
from graphfix.registry import all_rules
from graphfix.rule import Rule
from graphfix.source.suppress import UNUSED, UNUSED_NAME

_UNUSED_TITLE = "a comment silences nothing"
_UNUSED_WORDS = """\
What it does: reports a `# graphfix: ignore[...]` comment, or a part of one, that silences nothing which the text shows,
or that names no rule. A comment that outlives its finding would silence the next one, too.

A comment for a break that only a compile shows names its id, `ignore[GB0124]`, and is not reported.
"""


def list_rules() -> str:
    """One line a rule: code, name, safety, title."""
    rows = [(UNUSED, UNUSED_NAME, "", _UNUSED_TITLE)]
    rows += [(rule.code, rule.name, rule.safety, rule.title) for rule in all_rules()]
    wide = max(len(name) for _, name, *_ in rows)
    return "".join(f"{code}  {name:{wide}}  {safety:6}  {title}\n" for code, name, safety, title in rows)


def explain(code: str) -> str:
    """The words of a rule, or of a break id of the installed torch. Raises UsageError for neither."""
    if code.upper() == UNUSED or code == UNUSED_NAME:
        return f"{UNUSED} {UNUSED_NAME}: {_UNUSED_TITLE}\n\n{_UNUSED_WORDS}"
    rule = _rule(code)
    if rule is not None:
        return _heading(rule) + "\n\n" + rule_words(rule.code)
    if match := re.fullmatch(r"GB(\d{1,4})", code.upper()):
        return _break_words(f"GB{match[1]:>04}")
    raise UsageError(f"{code!r} is neither a rule nor a break id; `graphfix rules` lists the rules.")


def _rule(code: str) -> Rule | None:
    return next((rule for rule in all_rules() if code.upper() == rule.code or code == rule.name), None)


def _heading(rule: Rule) -> str:
    return f"{rule.code} {rule.name} ({rule.safety}): {rule.title}"


def rule_words(code: str) -> str:
    """The docstring of a rule and the ids it repairs, empty for an unknown code."""
    if code == UNUSED:
        return _UNUSED_WORDS
    rule = _rule(code)
    if rule is None:
        return ""
    repaired = [*sorted(rule.repairs), *(f"compiler failures that say “{words}”" for words in rule.failures)]
    return f"{inspect.getdoc(rule)}\n\nRepairs: {', '.join(repaired)}\n"


def _break_words(id_: str) -> str:
    if not registry():
        raise UsageError("the installed torch (if any) has no list of break ids; install torch 2.8 or newer.")
    entries = registry().get(id_)
    if not entries:
        raise UsageError(f"the installed torch has no break id {id_}; correct it, or install the torch that said it.")
    entry = entries[0]
    repairing = [rule for rule in all_rules() if id_ in rule.repairs]
    lines = [f"{id_} {entry['Gb_type']}", "", _plain(entry["Explanation"]), ""]
    lines += [f"Hint: {hint}" for hint in _whole(map(_plain, entry["Hints"]))] or ["Dynamo gives no hint."]
    if id_ in CONSEQUENCES:
        lines += ["", "Mostly a consequence: it goes when the break before it, in the same function, is gone."]
    lines += ["", "Rules that repair it:" if repairing else "No rule repairs it yet."]
    lines += [f"  {_heading(rule)}" for rule in repairing]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A registry text as a person reads it: some are Python expressions, of which the strings are kept."""
    if re.match(r'f?"|\w+\(', text.strip()) or re.search(r" \+\s", text):
        text = "".join(re.findall(r'"([^"]*)"', text)) or "Dynamo words it when it happens."
    return re.sub(r"\{([^{}]*)\}", r"<\1>", text.strip(" \n") + (" " if text.endswith(" ") else ""))


def _whole(hints: Iterable[str]) -> list[str]:
    """The registry cuts a long hint into pieces; one that ends in a blank goes on in the next."""
    text = "".join(hint if hint.endswith(" ") else f"{hint}\n" for hint in hints)
    return [line.strip() for line in text.splitlines() if line.strip()]
