"""Finds the expression that a logged break is about, where the log names a line and at most a column to begin at."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphfix.message import Message
from graphfix.scan.logs.parts import Part, part_on
from graphfix.source.module import Module

_CALLED = (
    re.compile(r"call_method \S+?\(.*?\) (\w+) "),
    re.compile(r"call_\w+\[target=(?:[\w.]+\.)?(\w+)\]"),
    re.compile(r"method: .*?\.(\w+), args"),
    re.compile(r"qualname: (?:[\w.<>]+\.)?(\w+)"),
    re.compile(r"builtin(?: operator)?:? `?(\w+)`?"),
    re.compile(r"skip function (?:[\w.<>]+\.)?(\w+) in file"),
    re.compile(r"Tensor\.(\w+)"),
)
_MENTIONED = (re.compile(r"aten\._?(\w+?)\d*\."), re.compile(r"`(?:[\w.<>]+\.)?(\w+)(?:\(\))?`"))
"""How messages of torch 2.6 to 2.13 name what was called, and what may have been."""

_KINDS: tuple[tuple[str, type[ast.expr]], ...] = (
    ("(BINARY|STORE|DELETE)_(SUBSCR|SLICE)|getitem|setitem", ast.Subscript),
    ("(STORE|DELETE)_ATTR", ast.Attribute),
    ("(COMPARE|CONTAINS|IS)_OP", ast.Compare),
    ("BINARY_", ast.BinOp),
    ("UNARY_", ast.UnaryOp),
)
"""What an instruction, by how its name begins, or an operation of a graph comes from.

Dynamo names the instruction of the outermost function that it traces: a call says nothing of the innermost one.
"""

_CASTS = frozenset({"int", "float", "bool", "complex"})


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an expression.

    `called` holds names of which one is called in it, `mentioned` some that may be.
    """

    part: Part | None = None
    called: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()
    kind: type[ast.expr] | None = None


def about(message: Message, record: str, function: str) -> About:
    """What a break's message says; `record` is all that the log prints for it, `function` the innermost one."""
    opcode = re.search(r"when attempting to trace (\w+)|operator\.(getitem|setitem)\]", record)
    found = (kind for name, kind in _KINDS if opcode and re.match(name, opcode[1] or opcode[2]))
    context = re.search(r"Developer debug context: (.*)", record)
    operation = re.search(r"While executing .*", record)
    parts = [context[1] if context else "", operation[0] if operation else "", message.type, message.explanation]
    text = " \n".join(parts)
    return About(
        part=next((part for part in Part if message.id and message.id in part.value), None),
        called=_names(_CALLED, text),
        mentioned=_names(_MENTIONED, text),
        kind=None if function.startswith("__") else next(found, None),  # `x[i]` may lead into `__getitem__`
    )


def _names(patterns: Sequence[re.Pattern[str]], text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for pattern in patterns for name in pattern.findall(text)))


def calling(function: str) -> About:
    """What is known where one frame of a stack leads to the next, that of `function`."""
    return About(called=(function,), kind=None if function.startswith("__") else ast.Call)


def guilty(
    module: Module, line: int, known: About, start: int | None = None, end: int | None = None
) -> ast.expr | None:
    """The one expression on `line` that fits, None where none does or several do.

    `start` and `end` are columns in UTF-8 bytes. `end` is None where carets run to the end of the line, as they do in
    the logs of torch 2.13 on Python 3.11 and 3.12 wherever the expression ends: torch gives no end line.
    """
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, ast.expr)]
    if start is not None:
        nodes = [node for node in nodes if _start(node) == (line, start)]
        if end is not None:
            exact = [node for node in nodes if (node.end_lineno, node.end_col_offset) == (line, end)]
            return exact[-1] if exact else None
    else:
        nodes = [node for node in nodes if _start(node)[0] == line]
    if known.part is not None:
        return part_on(module, known.part, line, None if start is None else nodes)
    for name in known.called:
        if found := _calls(nodes, name):
            return _only(found)
    if start is None:
        return _fitting(module, nodes, known, alone=known.kind is not ast.Call)  # a property calls as well
    return _fitting(module, nodes, known, alone=True) or _inside(nodes, known)


def _fitting(module: Module, nodes: Sequence[ast.expr], known: About, alone: bool) -> ast.expr | None:
    """The one expression that a mentioned name may stand for, else, if `alone`, the only one of the kind."""
    fitting = [node for node in nodes if known.kind is None or isinstance(node, known.kind)]
    if known.kind is ast.Attribute:
        fitting = [node for node in fitting if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)]
    for name in known.mentioned:
        found = _calls(fitting, name)
        if name == "nonzero":
            found += [node for node in fitting if _is_masked(module, node)]
        if found:
            return _only(found)
    return _only(fitting) if alone and known.kind is not None else None


def _inside(nodes: Sequence[ast.expr], known: About) -> ast.expr | None:
    """The one call of a name in expressions that begin at a place, else the only one that is no mere name.

    The name is called further inside where Dynamo leaves out the frame of a generator expression.
    """
    inside = {part: None for node in nodes for part in ast.walk(node) if isinstance(part, ast.expr)}
    for name in known.called:
        if found := _calls(list(inside), name):
            return _only(found)
    kind = known.kind or ast.expr
    return _only([node for node in nodes if isinstance(node, kind) and not isinstance(node, ast.Name | ast.Attribute)])


def _calls(nodes: Sequence[ast.expr], name: str) -> list[ast.expr]:
    """The calls of a function or method; reading a tensor's `item` happens in casts as well."""
    calls = [node for node in nodes if _callee(node) == name]
    return calls or [node for node in nodes if name == "item" and _callee(node) in _CASTS]


def _only(nodes: Sequence[ast.expr]) -> ast.expr | None:
    return nodes[0] if len(nodes) == 1 else None


def _start(node: ast.expr) -> tuple[int, int]:
    """Line and column that Python gives an instruction: of a method chain over several lines, the method's name."""
    attribute = node.func if isinstance(node, ast.Call) else node
    if isinstance(attribute, ast.Attribute) and attribute.lineno != attribute.end_lineno:
        return attribute.end_lineno or 0, (attribute.end_col_offset or 0) - len(attribute.attr)
    return node.lineno, node.col_offset


def _callee(node: ast.expr) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def _is_masked(module: Module, node: ast.expr) -> bool:
    """Whether the expression reads a subscript that could be a boolean mask."""
    if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Constant | ast.Slice):
        return False
    return isinstance(node.ctx, ast.Load) or isinstance(next(module.parents(node), None), ast.AugAssign)
