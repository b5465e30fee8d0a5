"""Reads the arms of a branch as lists of what they set, so that both can run and each value be chosen."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._condition import Build, Decision, decide
from ._guards import message_of
from ._items import Guard, Item, Log, Nested, Plain, Put, Unknown
from ._match import dotted, is_guarded_log, is_log_statement, is_named, is_pure, is_text
from ._merge import merged

_CONVERSIONS = frozenset({"to", "cpu", "cuda", "contiguous", "type_as"})


class Reader:
    """Reads the arms of `branch`: an `if` on a tensor with all its `elif`s. `behind`: statements behind it that are the
    arm of an early leave.

    `compiled`: the result runs in compiled code only. Then logs are left out, an exception becomes an assertion on the
    device, and what only fills a cache of the object may run whichever way is taken.
    """

    def __init__(self, build: Build, branch: ast.stmt, compiled: bool = False, behind: Sequence[ast.stmt] = ()) -> None:
        self.build, self.module, self._branch = build, build.module, branch
        self._compiled = compiled
        self._behind = behind
        self._inside = {part for node in (branch, *behind) for part in ast.walk(node)}
        self._function = self.module.function_of(branch)

    def items(self, body: Sequence[ast.stmt], arm: Sequence[ast.stmt]) -> list[Item]:
        """What statements of an arm do. Raises Unknown."""
        found: list[Item] = []
        for node in body:
            found += self._statement(node, arm)
        return found

    def _statement(self, node: ast.stmt, arm: Sequence[ast.stmt]) -> list[Item]:
        if isinstance(node, ast.Pass) or is_text(node):
            return []
        if is_log_statement(node) or is_guarded_log(node):
            return [] if self._compiled else [Log(self.build.slot([node]))]
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            return self._assign(node, node.targets[0], node.value, arm)
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return self._assign(node, node.target, node.value, arm)
        if isinstance(node, ast.AugAssign):
            return [self._augmented(node)]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return [self._call(node.value)]
        if isinstance(node, ast.If):
            return self._nested(node, arm)
        if isinstance(node, ast.Raise) and self._compiled:  # eager keeps its exception in the dual form only
            return [Guard(message_of(node.exc))]
        raise Unknown

    def _assign(self, node: ast.stmt, target: ast.expr, value: ast.expr, arm: Sequence[ast.stmt]) -> list[Item]:
        if isinstance(target, ast.Tuple):
            return self._unpacked(node, target, value, arm)
        if isinstance(target, ast.Name) and self._is_own(target.id, arm):
            if _is_for_logs(target.id, arm):
                return [] if self._compiled else [Log(self.build.slot([node]))]
            return [Plain(self.build.slot([node]))]
        if isinstance(target, ast.Subscript) and self._is_fresh(target.value, arm):
            return [Plain(self.build.slot([node]))]
        if self._compiled and isinstance(target, ast.Attribute) and _is_conversion_of(target, value):
            return [Plain(self.build.slot([node]))]
        if isinstance(value, ast.ListComp) and (each := self._each(target, value)) is not None:
            return [each]
        return [self._put(target, self._value(value))]

    def _each(self, target: ast.expr, value: ast.ListComp) -> Put | None:
        """`parts = [part * 2 for part in parts]`: each part is chosen by itself."""
        (over,) = value.generators if len(value.generators) == 1 else (None,)
        if over is None or over.ifs or over.is_async or not isinstance(over.target, ast.Name):
            return None
        if not isinstance(target, ast.Name) or not is_named(over.iter, target.id) or not is_pure(value.elt):
            return None
        name, part = target.id, over.target.id
        return Put(name, f"{name} = [@ for {part} in {name}]", self._value(value.elt), part)

    def _is_fresh(self, owner: ast.expr, arm: Sequence[ast.stmt]) -> bool:
        """Whether a tensor is the arm's own: a name of it, given the result of an operator, which shares no memory."""
        if not isinstance(owner, ast.Name) or not self._is_own(owner.id, arm):
            return False
        values = [
            node.value
            for node in arm
            if isinstance(node, ast.Assign) and any(is_named(t, owner.id) for t in node.targets)
        ]
        return bool(values) and all(isinstance(value, ast.Compare | ast.BinOp | ast.UnaryOp) for value in values)

    def _put(self, target: ast.expr, value: str) -> Put:
        slot = self.build.slot(target)
        if isinstance(target, ast.Name):
            old = slot if is_bound_before(self.module, self._branch, target.id) else ""
        elif isinstance(target, ast.Attribute | ast.Subscript) and is_pure(target):
            old = slot
        else:
            raise Unknown
        return Put(ast.unparse(target), f"{slot} = @", value, old)

    def _value(self, value: ast.expr) -> str:
        """The slot of a value that a tensor can hold."""
        if isinstance(value, ast.List | ast.Tuple | ast.Dict | ast.Set | ast.Lambda | ast.JoinedStr | ast.ListComp):
            raise Unknown
        if isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, str | bytes)):
            raise Unknown
        if any(isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(value)):
            raise Unknown
        return self.build.slot(value)

    def _unpacked(self, node: ast.stmt, target: ast.Tuple, value: ast.expr, arm: Sequence[ast.stmt]) -> list[Item]:
        names = [one.id for one in target.elts if isinstance(one, ast.Name)]
        if len(names) != len(target.elts):
            raise Unknown
        if all(name == "_" or self._is_own(name, arm) for name in names):
            return [Plain(self.build.slot([node]))]
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) and not _crosses(target, value):
            both = zip(target.elts, value.elts, strict=True)
            return [self._put(one, self._value(given)) for one, given in both]
        fresh = [name if name == "_" else self.build.fresh(f"new_{name}") for name in names]
        taken = Plain(f"{', '.join(fresh)} = {self.build.slot(value)}")
        pairs = zip(target.elts, names, fresh, strict=True)
        return [taken, *(self._put(one, new) for one, name, new in pairs if name != "_")]

    def _augmented(self, node: ast.AugAssign) -> Put:
        target = self.build.slot(node.target)
        value = f"{target} {_SIGNS[type(node.op)]} {self._value(node.value)}"
        if isinstance(node.target, ast.Name) and not is_bound_before(self.module, self._branch, node.target.id):
            raise Unknown
        if not is_pure(node.target):
            raise Unknown
        plain = self.module.analysis.value(node.target).kind in (Kind.PLAIN, Kind.SIZE) or self._is_count(node.target)
        rebinds = isinstance(node.target, ast.Name) and plain
        form = f"{target} = @" if rebinds or isinstance(node.target, ast.Subscript) else f"{target}.copy_(@)"
        return Put(ast.unparse(node.target), form, value, target)

    def _is_count(self, target: ast.expr) -> bool:
        """Whether a local name begins as a written number and is given nothing but such, in the whole function."""
        parts = list(ast.walk(self._function)) if self._function is not None else []
        if not isinstance(target, ast.Name) or any(isinstance(one, ast.arg) and one.arg == target.id for one in parts):
            return False
        names = (one for one in parts if is_named(one, target.id) and not isinstance(one.ctx, ast.Load))  # type: ignore[attr-defined]
        stores = [self.module.enclosing(one, ast.stmt) for one in names]
        return any(isinstance(one, ast.Assign) for one in stores) and all(
            isinstance(one, ast.Assign | ast.AugAssign) and isinstance(one.value, ast.Constant) for one in stores
        )

    def _call(self, call: ast.Call) -> Put:
        name = dotted(call.func)
        if name.endswith(".register_buffer") and len(call.args) == 2 and isinstance(call.func, ast.Attribute):
            return self._buffer(call, call.func.value)
        if (
            name.endswith(".append")
            and len(call.args) == 1
            and not call.keywords
            and isinstance(call.func, ast.Attribute)
        ):
            owner = self.build.slot(call.func.value)  # in both arms, or else the list would grow whichever way is taken
            return Put(f"{name}()", f"{owner}.append(@)", self._value(call.args[0]), "")
        if name == "setattr" and len(call.args) == 3:
            owner, attribute, value = map(self.build.slot, call.args)
            default = f", {value}" if self._compiled else ""  # a cache that is filled whichever way is taken
            old = f"getattr({owner}, {attribute}{default})"
            key = f"{ast.unparse(call.args[0])}[{ast.unparse(call.args[1])}]"
            return Put(key, f"setattr({owner}, {attribute}, @)", value, old)
        found = _in_place_on(call)
        if found is None or not is_pure(found):
            raise Unknown
        owner = self.build.slot(found)
        return Put(ast.unparse(found), f"{owner}.copy_(@)", self._in_place(call, owner), owner)

    def _in_place(self, call: ast.Call, owner: str) -> str:
        """What `owner` holds after a chain of methods in place."""
        assert isinstance(call.func, ast.Attribute)
        method, whole = call.func.attr, owner
        if isinstance(call.func.value, ast.Call):
            owner = self._in_place(call.func.value, owner)
        if any(isinstance(arg, ast.Starred) for arg in call.args):
            raise Unknown
        given = [self._value(arg) for arg in call.args]
        given += [f"{one.arg}={self._value(one.value)}" for one in call.keywords if one.arg]
        if method == "copy_" and len(given) == 1:
            return given[0]
        if method == "zero_":
            return f"{{torch}}.zeros_like({whole})"
        if method == "fill_" and len(given) == 1:
            return given[0] if whole == owner else f"{{torch}}.full_like({whole}, {given[0]})"
        return f"{owner}.{method[:-1]}({', '.join(given)})"

    def _buffer(self, call: ast.Call, owner: ast.expr) -> Put:
        """`self.register_buffer("name", value)`, which is an assignment to `self.name`."""
        name, value = call.args
        more = "".join(f", {one.arg}={self.build.slot(one.value)}" for one in call.keywords if one.arg)
        slot, text = self.build.slot(owner), self.build.slot(name)
        literal = isinstance(name, ast.Constant) and isinstance(name.value, str)
        old = f"{slot}.{name.value!s}" if literal and isinstance(name, ast.Constant) else f"getattr({slot}, {text})"
        form = f"{slot}.register_buffer({text}, @{more})"
        return Put(f"{ast.unparse(owner)}[{ast.unparse(name)}]", form, self._value(value), old)

    def _nested(self, node: ast.If, arm: Sequence[ast.stmt]) -> list[Item]:
        decision = decide(self.build, node.test)
        if decision is None:
            if not is_pure(node.test):
                raise Unknown
            if self._compiled and not node.orelse and _is_lazy(node):
                return [Plain(self.build.slot([node]))]
            body, orelse = (tuple(self.items(part, arm)) for part in (node.body, node.orelse))
            return [Nested(self.build.slot(node.test), body, orelse)]
        names = [part.target.id for part in ast.walk(node.test) if isinstance(part, ast.NamedExpr)]
        if not all(self._is_own(name, [node]) for name in names):
            raise Unknown
        return self.branch(node, decision)

    def branch(self, node: ast.If, decision: Decision) -> list[Item]:
        """What an `if` on a tensor does. Raises Unknown."""
        name = self.build.fresh("condition")
        yes, no = self.items(node.body, node.body), self.items(node.orelse, node.orelse)
        condition, chosen = self.named(decision.tensor, name, merged(self.build, name, yes, no))
        if not decision.plain:
            return [*condition, *chosen]
        return [Nested(decision.python(self.build), (*condition, *chosen), tuple(no))]

    def named(self, tensor: str, name: str, items: list[Item]) -> tuple[list[Item], list[Item]]:
        """What items do that choose by the condition `name`, and before them what gives it that name, where it is
        used more than once."""
        settled = self._is_settled(tensor)
        if settled or (used(name, items) == 1 and (len(items) == 1 or ":=" not in self.build.text(tensor))):
            self.build.names.discard(name)
            return [], [_inlined(one, name, tensor) for one in items]
        return [Plain(f"{name} = {tensor}")], items

    def _is_settled(self, tensor: str) -> bool:
        """Whether a condition is a name that the branch leaves alone."""
        part = self.build.parts.get(tensor.strip("{}"))
        if not isinstance(part, ast.Name):
            return False
        names = [node for node in self._inside if isinstance(node, ast.Name) and node.id == part.id]
        return all(isinstance(node.ctx, ast.Load) for node in names)

    def _is_own(self, name: str, arm: Sequence[ast.stmt]) -> bool:
        """Whether a name is one arm's own: bound nowhere else in the branch, read by nothing outside of the arm."""
        own = {part for node in arm for part in ast.walk(node)}
        for part in self._inside:
            if isinstance(part, ast.Name) and part.id == name and part not in own:
                return False
        if self._behind and self.module.in_loop(self._branch) and not is_new(name, self._behind):
            return False
        return not is_live_behind(self.module, self._branch, self._inside, name)


def is_new(name: str, body: Sequence[ast.stmt]) -> bool:
    """Whether statements give a name a value before they read it, so that no turn of a loop sees an earlier one's."""
    first = next((node for node in body if any(is_named(part, name) for part in ast.walk(node))), None)
    if not isinstance(first, ast.Assign):
        return False
    read = any(is_named(part, name) for part in ast.walk(first.value))
    return not read and any(is_named(part, name) for target in first.targets for part in ast.walk(target))


def _crosses(target: ast.Tuple, value: ast.Tuple) -> bool:
    """Whether `a, b = x, y` reads behind what it sets, so that it cannot be done one after the other."""
    names = {one.id for one in target.elts[:-1] if isinstance(one, ast.Name)}
    parts = (part for one in value.elts[1:] for part in ast.walk(one))
    return any(isinstance(part, ast.Name) and part.id in names for part in parts)


def _is_for_logs(name: str, arm: Sequence[ast.stmt]) -> bool:
    """Whether only log calls of an arm read a name."""
    reads = [(node, part) for node in arm for part in ast.walk(node) if isinstance(part, ast.Name) and part.id == name]
    readers = [node for node, part in reads if isinstance(part.ctx, ast.Load)]
    return bool(readers) and all(is_log_statement(node) or is_guarded_log(node) for node in readers)


def _in_place_on(call: ast.expr) -> ast.expr | None:
    """What a chain of methods in place changes: `x` of `x.mul_(2).add_(1)`."""
    while isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _IN_PLACE:
        call = call.func.value
        if not isinstance(call, ast.Call):
            return call
    return None


def _is_conversion_of(target: ast.expr, value: ast.expr) -> bool:
    """`self.x = self.x.to(device)`."""
    called = value.func if isinstance(value, ast.Call) else None
    if not isinstance(called, ast.Attribute) or called.attr not in _CONVERSIONS:
        return False
    return ast.unparse(called.value) == ast.unparse(target)


def _is_lazy(node: ast.If) -> bool:
    """`if not hasattr(self, "x"): self.x = …` and `if self.x is None: self.x = …`."""
    test = node.test
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and isinstance(test.operand, ast.Call):
        return dotted(test.operand.func) == "hasattr"
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.Is)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )


def is_bound_before(module: Module, branch: ast.stmt, name: str) -> bool:
    """Whether a name may have a value where a branch begins."""
    env = module.analysis.flow.environment(branch)
    return env is not None and name in env


def is_live_behind(module: Module, branch: ast.AST, inside: set[ast.AST], name: str) -> bool:
    """Whether anything outside the branch may read what the branch gives a name."""
    function = module.function_of(branch)
    if function is None:
        return True
    for node in ast.walk(function):
        if not isinstance(node, ast.Name) or node.id != name or node in inside or not _is_read(module, node):
            continue
        within = module.function_of(node)
        env = module.analysis.flow.environment(node)
        if within is not function or env is None or any(one.node in inside for one in env.get(name, ())):
            return True
    return any(isinstance(node, ast.Global | ast.Nonlocal) and name in node.names for node in ast.walk(function))


def _is_read(module: Module, node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load) or isinstance(next(module.parents(node), None), ast.AugAssign)


def used(name: str, items: Sequence[Item]) -> int:
    """How often the text of items holds a name."""
    return sum(_text_of(item).count(name) for item in items)


def _text_of(item: Item) -> str:
    if isinstance(item, Nested):
        return item.test + "".join(map(_text_of, (*item.body, *item.orelse)))
    return str(getattr(item, _CHOOSING[type(item)]))


def _inlined(item: Item, name: str, text: str) -> Item:
    """The item with the text of a condition for its name; where it is joined to others, in parentheses."""
    if isinstance(item, Nested):
        body, orelse = (tuple(_inlined(one, name, text) for one in part) for part in (item.body, item.orelse))
        return Nested(item.test, body, orelse)
    field = _CHOOSING[type(item)]
    inner = text if isinstance(item, Put) else f"({text})"
    return replace(item, **{field: getattr(item, field).replace(name, inner)})


_CHOOSING: dict[type[Item], str] = {Put: "value", Plain: "text", Log: "asked", Guard: "holds"}
"""The field of each kind of item that may hold a condition."""
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_IN_PLACE = frozenset(
    """
    add_ sub_ mul_ div_ clamp_ clamp_min_ clamp_max_ clip_ relu_ sigmoid_ tanh_ neg_ abs_ exp_ log_ sqrt_ rsqrt_ pow_
    square_ reciprocal_ floor_ ceil_ round_ trunc_ fmod_ remainder_ masked_fill_ masked_scatter_ index_fill_ index_add_
    index_copy_ scatter_ scatter_add_ lerp_ addcmul_ addcdiv_ copy_ zero_ fill_ logical_not_ logical_and_ logical_or_
    bitwise_and_ bitwise_or_ bitwise_not_ nan_to_num_
    """.split()
)
