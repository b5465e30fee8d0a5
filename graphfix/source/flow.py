"""One pass over a function: the code that a compiled run can reach, and which definitions reach each statement.

Reaching definitions after A. V. Aho et al., Compilers, 2nd edition, section 9.2.4, on the syntax tree.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphfix.source.narrow import narrowed, truth
from graphfix.source.outline import Function, imported

EACH = "each"
"""The step of a path from a collection to any of its elements."""
ENTER = "enter"
"""The step of a path from a context manager to what it gives."""

_RECORDED = frozenset({
    ast.If, ast.While, ast.Assert, ast.For, ast.AsyncFor, ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.With,
    ast.Nonlocal, ast.Call, ast.Subscript, ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.Yield, ast.YieldFrom, ast.JoinedStr,
})  # fmt: skip
"""The kinds of nodes that rules may ask for."""
_PARTS: dict[type[ast.AST], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ast.Call: (("func",), ("args", "keywords")),
    ast.keyword: (("value",), ()),
    ast.Subscript: (("value", "slice"), ()),
    ast.Slice: (("lower", "upper", "step"), ()),
    ast.BinOp: (("left", "right"), ()),
    ast.UnaryOp: (("operand",), ()),
    ast.Compare: (("left",), ("comparators",)),
    ast.Tuple: ((), ("elts",)),
    ast.List: ((), ("elts",)),
    ast.Set: ((), ("elts",)),
    ast.Starred: (("value",), ()),
    ast.Dict: ((), ("values",)),
    ast.JoinedStr: ((), ("values",)),
    ast.FormattedValue: (("value",), ()),
    ast.Await: (("value",), ()),
    ast.Yield: (("value",), ()),
    ast.YieldFrom: (("value",), ()),
}
"""The fields of each kind of expression that hold one expression, and those that hold several."""
_NO_PARTS: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
_MAX_DEPTH = 6
"""Loops nested deeper than this are walked once, not twice."""


@dataclass(eq=False, slots=True)
class Definition:
    """What gives a name its value: `path` leads into the value of `node`, which is read with `env`.

    `node` is an expression, a parameter, an import (`path` holds what it stands for) or another binding statement.
    """

    node: ast.AST
    path: tuple[int | str, ...]
    env: Environment


Environment = Mapping[str, tuple[Definition, ...]]
_Once = Callable[[Environment], Environment | None]


@dataclass(eq=False, slots=True)
class Walked:
    """What the pass found in one function: its live nodes by class (those of `_RECORDED`), the values that it returns,
    and the attributes of names, as (name, attribute)."""

    function: Function
    nodes: dict[type[ast.AST], list[ast.AST]] = field(default_factory=dict)
    returns: list[ast.expr] = field(default_factory=list)
    attributes: set[tuple[str, str]] = field(default_factory=set)


class Flow:
    """The pass. `parents` (those of statements are handed in) and `environments` hold what it saw of all functions that
    were walked, `parameters` whose parameters there are."""

    def __init__(self, parents: dict[ast.AST, ast.AST], walrus: bool = True) -> None:
        self._may_bind = walrus  # whether the text has any `:=`
        self.parameters: dict[ast.arg, Function] = {}
        self.parents = parents
        self.environments: dict[ast.AST, Environment] = {}
        self.walked: dict[ast.AST, Walked] = {}
        self._recording = True
        self._jumps: list[list[Environment]] = []
        self._globals: set[str] = set()
        self._depth = 0

    def walk(self, function: Function, outer: Environment) -> None:
        """Walk a function and those defined in it. Raises RecursionError where expressions nest too deeply."""
        found = self.walked[function.node] = Walked(function)
        self._found, self._nodes = found, found.nodes
        arguments = function.node.args
        env: dict[str, tuple[Definition, ...]] = dict(outer)
        for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if arg is not None:
                env[arg.arg] = (Definition(arg, (), outer),)
                self.parameters[arg] = function
        kept = self._jumps, self._globals
        self._jumps, self._globals = [], set()
        self._block(function.node.body, env)
        self._jumps, self._globals = kept

    def of(self, function: Function) -> Walked | None:
        """What the pass finds in a function, made now if need be; None where it is defined in code that never runs."""
        if function.node not in self.walked:
            top = function
            while top.outer is not None:
                top = top.outer
            if top.node not in self.walked:
                self.walk(top, {})
        return self.walked.get(function.node)

    def environment(self, node: ast.AST) -> Environment | None:
        """The definitions that reach a node, None where the pass did not come by."""
        one: ast.AST | None = node
        while one is not None and one not in self.environments:
            one = self.parents.get(one)
        return None if one is None else self.environments[one]

    def _block(self, body: Sequence[ast.stmt], env: Environment | None) -> Environment | None:
        """Walk statements; the definitions after them, None where control never gets there."""
        for node in body:
            if env is None:
                return None
            if self._recording:
                self.environments[node] = env
                if node.__class__ in _RECORDED:
                    self._nodes.setdefault(node.__class__, []).append(node)
            handler = _HANDLERS.get(node.__class__)
            env = handler(self, node, env) if handler else self._parts(node, env)
        return env

    def _parts(self, node: ast.stmt, env: Environment) -> Environment:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                env = self._expression(part, node, env)
        return env

    def _assign(self, node: ast.Assign, env: Environment) -> Environment:
        before = self._expression(node.value, node, env)
        env = before
        for target in node.targets:
            env = self._bind(target, node, Definition(node.value, (), before), env)
        return env

    def _annotated(self, node: ast.AnnAssign, env: Environment) -> Environment:
        if node.value is None:
            return env
        env = self._expression(node.value, node, env)
        return self._bind(node.target, node, Definition(node.value, (), env), env)

    def _augmented(self, node: ast.AugAssign, env: Environment) -> Environment:
        env = self._expression(node.value, node, env)
        return self._bind(node.target, node, Definition(node, (), env), env)

    def _if(self, node: ast.If, env: Environment) -> Environment | None:
        holds = truth(node.test)
        env = self._expression(node.test, node, env)
        yes = self._block(node.body, self._narrow(node.test, True, env)) if holds is not False else None
        no = self._narrow(node.test, False, env) if holds is not True else None
        return _join(yes, self._block(node.orelse, no) if node.orelse else no)

    def _for(self, node: ast.For | ast.AsyncFor, env: Environment) -> Environment | None:
        before = self._expression(node.iter, node, env)

        def once(start: Environment) -> Environment | None:
            start = self._bind(node.target, node, Definition(node.iter, (EACH,), before), start)
            return self._block(node.body, start)

        end = self._loop(once, before)
        return self._block(node.orelse, end) if node.orelse else end

    def _while(self, node: ast.While, env: Environment) -> Environment | None:
        def once(start: Environment) -> Environment | None:
            start = self._expression(node.test, node, start)
            return self._block(node.body, self._narrow(node.test, True, start))

        end = self._loop(once, env, node)
        return self._block(node.orelse, end) if node.orelse else end

    def _loop(self, once: _Once, before: Environment, node: ast.AST | None = None) -> Environment | None:
        """Walk a loop: first for what its body defines, then with that."""
        recording, self._recording = self._recording, False
        self._depth += 1
        start = before
        if self._depth <= _MAX_DEPTH:
            self._jumps.append([])
            end = once(before)
            for one in (end, *self._jumps.pop()):
                start = _join(start, one) or start
        self._recording = recording
        if recording and node is not None:
            self.environments[node] = start  # a condition is read again after the body
        self._jumps.append([])
        end = once(start)
        for one in (end, *self._jumps.pop()):
            start = _join(start, one) or start
        self._depth -= 1
        return start

    def _try(self, node: ast.Try, env: Environment) -> Environment | None:
        end = self._block(node.body, env)
        raised = _join(env, end)
        ends = [self._block(node.orelse, end) if node.orelse else end]
        for handler in node.handlers:
            start = raised
            if handler.name and start is not None:
                start = {**start, handler.name: (Definition(handler, (), start),)}
            ends.append(self._block(handler.body, start))
        after: Environment | None = None
        for one in ends:
            after = _join(after, one)
        if not node.finalbody:
            return after
        final = self._block(node.finalbody, after if after is not None else raised)
        return final if after is not None else None

    def _with(self, node: ast.With | ast.AsyncWith, env: Environment) -> Environment | None:
        for item in node.items:
            if self._recording:
                self.parents[item] = node
            env = self._expression(item.context_expr, item, env)
            if item.optional_vars is not None:
                env = self._bind(item.optional_vars, item, Definition(item.context_expr, (ENTER,), env), env)
        return self._block(node.body, env)

    def _match(self, node: ast.Match, env: Environment) -> Environment | None:
        env = self._expression(node.subject, node, env)
        after: Environment | None = env
        for case in node.cases:
            names = (getattr(one, "name", None) or getattr(one, "rest", None) for one in ast.walk(case.pattern))
            start = {**env, **{name: (Definition(case, (), env),) for name in names if name}}
            if case.guard is not None:
                start = dict(self._expression(case.guard, case, start))
            after = _join(after, self._block(case.body, start))
        return after

    def _return(self, node: ast.Return, env: Environment) -> None:
        if node.value is not None:
            self._expression(node.value, node, env)
            if self._recording:
                self._found.returns.append(node.value)

    def _raise(self, node: ast.Raise, env: Environment) -> None:
        """What a raise says runs in no graph anyway."""

    def _assert(self, node: ast.Assert, env: Environment) -> Environment:
        return self._narrow(node.test, True, self._expression(node.test, node, env))

    def _jump(self, node: ast.stmt, env: Environment) -> None:
        if self._jumps:
            self._jumps[-1].append(env)

    def _import(self, node: ast.Import | ast.ImportFrom, env: Environment) -> Environment:
        return {**env, **{name: (Definition(node, (meaning,), env),) for name, meaning in imported(node)}}

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, env: Environment) -> Environment:
        env = {**env, node.name: (Definition(node, (), env),)}
        inner = self._found.function.inner.get(node.name)
        if self._recording and inner is not None and inner.node is node:
            found = self._found
            self.walk(inner, env)
            self._found, self._nodes = found, found.nodes
            for one in self.walked[node].nodes.get(ast.Nonlocal, ()):
                env = self._foreign(one, env)  # what it does to them, and when, the text does not show
        return env

    def _named(self, node: ast.ClassDef, env: Environment) -> Environment:
        return {**env, node.name: (Definition(node, (), env),)}

    def _foreign(self, node: Any, env: Environment) -> Environment:
        self._globals.update(node.names)
        return {**env, **{name: (Definition(node, (), env),) for name in node.names}}

    def _delete(self, node: ast.Delete, env: Environment) -> Environment:
        gone = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return {name: found for name, found in self._parts(node, env).items() if name not in gone}

    def _bind(self, target: ast.expr, parent: ast.AST, value: Definition, env: Environment) -> Environment:
        """Give a target its value; names in tuples take their parts of it."""
        if isinstance(target, ast.Name):
            return env if target.id in self._globals else {**env, target.id: (value,)}
        if isinstance(target, ast.Starred):
            return self._bind(target.value, target, Definition(target, (), env), env)
        if isinstance(target, ast.Tuple | ast.List):
            starred = any(isinstance(one, ast.Starred) for one in target.elts)
            for number, one in enumerate(target.elts):
                part = Definition(value.node, (*value.path, EACH if starred else number), value.env)
                env = self._bind(one, target, part, env)
            return env
        return self._expression(target, parent, env)

    def _narrow(self, test: ast.expr, holds: bool, env: Environment) -> Environment:
        """What a condition says of names, taken in where it holds or not."""
        found = narrowed(test, holds)
        return {**env, **{name.id: (Definition(name, (kind,), env),) for name, kind in found}} if found else env

    def _expression(self, node: ast.expr, parent: ast.AST, env: Environment) -> Environment:
        """Record an expression's nodes; the definitions after it, a walrus included."""
        if not self._recording:
            return self._walrus(node, env)
        todo: list[tuple[ast.AST, ast.AST]] = [(node, parent)]
        parents, nodes, used = self.parents, self._nodes, self._found.attributes
        while todo:
            one, around = todo.pop()
            parents[one] = around
            kind = one.__class__
            if kind is ast.Attribute:
                owner = one.value  # type: ignore[attr-defined]
                if owner.__class__ is ast.Name:  # most expressions end here
                    parents[owner] = one
                    used.add((owner.id, one.attr))  # type: ignore[attr-defined]
                else:
                    todo.append((owner, one))
                continue
            if kind in _RECORDED:
                nodes.setdefault(kind, []).append(one)
            if kind in _SPECIAL:
                env = _SPECIAL[kind](self, one, env)
                continue
            single, several = _PARTS.get(kind, _NO_PARTS)
            for name in single:
                part = getattr(one, name)
                if part is not None and part.__class__ is not ast.Constant:
                    todo.append((part, one))
            for name in several:
                for part in getattr(one, name):
                    if part.__class__ is not ast.Constant:
                        todo.append((part, one))  # noqa: PERF401 (a comprehension takes longer here)
        return env

    def _walrus(self, node: ast.expr, env: Environment) -> Environment:
        """The definitions after an expression that is not recorded."""
        for one in ast.walk(node) if self._may_bind else ():
            if isinstance(one, ast.NamedExpr):
                env = {**env, one.target.id: (Definition(one.value, (), env),)}
        return env

    def _named_expression(self, node: ast.NamedExpr, env: Environment) -> Environment:
        env = self._expression(node.value, node, env)
        return {**env, node.target.id: (Definition(node.value, (), env),)}

    def _choice(self, node: ast.IfExp, env: Environment) -> Environment:
        env = self._expression(node.test, node, env)
        holds = truth(node.test)
        for arm, when in ((node.body, True), (node.orelse, False)):
            if holds is None or holds is when:
                self.environments[arm] = self._narrow(node.test, when, env)
                self._expression(arm, node, self.environments[arm])
        return env

    def _bool(self, node: ast.BoolOp, env: Environment) -> Environment:
        goes_on = isinstance(node.op, ast.And)
        inside = env
        for operand in node.values:
            self.environments[operand] = inside
            inside = self._expression(operand, node, inside)
            if truth(operand) is (not goes_on):
                break
            inside = self._narrow(operand, goes_on, inside)
        return self._walrus(node, env)

    def _comprehension(self, node: ast.expr, env: Environment) -> Environment:
        inside = env
        for generator in node.generators:  # type: ignore[attr-defined]
            self.parents[generator] = node
            self.environments[generator.iter] = inside
            self._expression(generator.iter, generator, inside)
            inside = self._bind(generator.target, generator, Definition(generator.iter, (EACH,), inside), inside)
            for test in generator.ifs:
                self.environments[test] = inside
                self._expression(test, generator, inside)
        for part in ("elt", "key", "value"):
            if (one := getattr(node, part, None)) is not None:
                self.environments[one] = inside
                self._expression(one, node, inside)
        return env

    def _lambda(self, node: ast.Lambda, env: Environment) -> Environment:
        """When its body runs, and with what, the text does not show."""
        return env


def _join(one: Environment | None, other: Environment | None) -> Environment | None:
    """The definitions that reach a place from either side; None is a side that control does not come from."""
    if one is None or other is None or one is other:
        return other if one is None else one
    joined = dict(one)
    for name, found in other.items():
        here = joined.get(name)
        if here is not found:
            joined[name] = found if here is None else tuple(dict.fromkeys((*here, *found)))
    return joined


_HANDLERS: dict[type[ast.AST], Callable[[Flow, Any, Environment], Environment | None]] = {
    ast.Assign: Flow._assign,
    ast.AnnAssign: Flow._annotated,
    ast.AugAssign: Flow._augmented,
    ast.If: Flow._if,
    ast.For: Flow._for,
    ast.AsyncFor: Flow._for,
    ast.While: Flow._while,
    ast.Try: Flow._try,
    ast.TryStar: Flow._try,
    ast.With: Flow._with,
    ast.AsyncWith: Flow._with,
    ast.Match: Flow._match,
    ast.Return: Flow._return,
    ast.Raise: Flow._raise,
    ast.Assert: Flow._assert,
    ast.Break: Flow._jump,
    ast.Continue: Flow._jump,
    ast.Import: Flow._import,
    ast.ImportFrom: Flow._import,
    ast.FunctionDef: Flow._define,
    ast.AsyncFunctionDef: Flow._define,
    ast.ClassDef: Flow._named,
    ast.Global: Flow._foreign,
    ast.Nonlocal: Flow._foreign,
    ast.Delete: Flow._delete,
}
_SPECIAL: dict[type[ast.AST], Callable[[Flow, Any, Environment], Environment]] = {
    ast.NamedExpr: Flow._named_expression,
    ast.IfExp: Flow._choice,
    ast.BoolOp: Flow._bool,
    ast.ListComp: Flow._comprehension,
    ast.SetComp: Flow._comprehension,
    ast.DictComp: Flow._comprehension,
    ast.GeneratorExp: Flow._comprehension,
    ast.Lambda: Flow._lambda,
}
