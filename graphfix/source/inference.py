"""Works out what expressions stand for: tensors, plain values, or nothing that the text shows."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from graphfix.source import torch_api as api
from graphfix.source.annotations import annotated
from graphfix.source.callers import Callers, argument
from graphfix.source.flow import EACH, ENTER, Definition, Environment, Flow
from graphfix.source.members import Members
from graphfix.source.narrow import IS_NONE, IS_OTHER, IS_SOME, IS_TENSOR
from graphfix.source.outline import Class, Function, Outline
from graphfix.source.values import (
    BOOLEAN,
    NONE,
    NOTHING,
    PLAIN,
    SIZE,
    TENSOR,
    TENSORS,
    UNKNOWN,
    Kind,
    Value,
    joined,
    sequence,
)

_DEPTH = 40
"""Expressions and calls are followed this deep."""


class Inference:
    """The values of one module's expressions, worked out when asked for."""

    def __init__(self, flow: Flow, outline: Outline) -> None:
        self._flow, self._outline = flow, outline
        self._members = Members(flow, outline)
        self._callers = Callers(flow, outline)
        self._known: dict[object, Value] = {}
        self._open: set[object] = set()
        self._cut = False
        self._depth = 0

    def value(self, node: ast.expr) -> Value:
        """What an expression stands for where it is; UNKNOWN for code that the flow did not walk."""
        env = self._flow.environment(node)
        return UNKNOWN if env is None else self._of(node, env)

    def meaning(self, node: ast.expr) -> str:
        """The qualified name that a chain of names stands for (`torch.nn.functional.relu`), empty where none."""
        env = self._flow.environment(node)
        return self._meaning(node, env if env is not None else {})

    def layer(self, called: ast.expr) -> str:
        """The qualified name of the class whose instance `self.name` holds, empty where the text does not show one."""
        env = self._flow.environment(called)
        if env is None or not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
            return ""
        owner = self._self(called.value, env)
        given = self._members.given(owner, called.attr) if owner is not None else ()
        names = {self.meaning(one.node.func) for one in given if one is not None and isinstance(one.node, ast.Call)}
        return names.pop() if len(names) == 1 else ""

    def _meaning(self, node: ast.expr, env: Environment) -> str:
        tail = ""
        while isinstance(node, ast.Attribute):
            tail = f".{node.attr}{tail}"
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        found = env.get(node.id)
        if found is None:
            name = self._outline.imports.get(node.id, "")
            if not name and node.id not in self._outline.functions and node.id not in self._outline.classes:
                name = "" if node.id in self._outline.values else node.id
        else:
            imports = [one.path[0] for one in found if isinstance(one.node, ast.Import | ast.ImportFrom)]
            name = str(imports[0]) if len(found) == len(imports) == 1 else ""
        return name + tail if name else ""

    def _of(self, node: ast.expr, env: Environment) -> Value:
        handler = _EXPRESSIONS.get(node.__class__)
        if handler is None or self._depth > _DEPTH:
            return UNKNOWN
        self._depth += 1
        try:
            return handler(self, node, env)
        finally:
            self._depth -= 1

    def _once(self, key: object, work: Callable[[], Value]) -> Value:
        """Work a value out once; NOTHING for one that is being worked out (it joins with what else comes)."""
        if key in self._known:
            return self._known[key]
        if key in self._open:
            self._cut = True
            return NOTHING
        outer, self._cut = self._cut, False
        self._open.add(key)
        value = work()
        self._open.discard(key)
        if not self._cut or not self._open:
            self._known[key] = value
        self._cut = outer or (self._cut and bool(self._open))
        return value

    def _defined(self, one: Definition) -> Value:
        return self._once(one, lambda: self._definition(one))

    def _definition(self, one: Definition) -> Value:
        node, path = one.node, one.path
        if isinstance(node, ast.arg):
            return self._parameter(node)
        if isinstance(node, ast.AugAssign):
            before, given = self._of(node.target, one.env), self._of(node.value, one.env)
            whole = self._binary([before, given])
            return whole if before.kind is not Kind.UNKNOWN else whole.unsure  # a list takes a tensor's elements
        if not isinstance(node, ast.expr) or isinstance(node, ast.Starred):
            return UNKNOWN
        value = self._of(node, one.env)
        for step in path:
            value = _step(value, step)
        return value

    def _parameter(self, arg: ast.arg) -> Value:
        function = self._flow.parameters[arg]
        arguments = function.node.args
        if arg in (arguments.vararg, arguments.kwarg):
            return UNKNOWN
        default = _default(arguments, arg)
        if arg.annotation is not None:
            value = self._promised(annotated(arg.annotation, lambda node: self._meaning(node, {})), function, arg)
        else:
            value = self._unannotated(function, arg, default)
        if isinstance(default, ast.Constant) and default.value is None:
            return joined((value, NONE)) if value.kind is not Kind.UNKNOWN else UNKNOWN
        return value

    def _promised(self, value: Value, function: Function, arg: ast.arg) -> Value:
        """What an annotation says, where the calls in this module do not tell otherwise."""
        if value.kind not in (Kind.TENSOR, Kind.PLAIN, Kind.SIZE) or not self._callers.of(function):
            return value
        passed = self._passed(function, arg)
        if value.kind is Kind.TENSOR:
            return value.unsure if passed.kind is Kind.PLAIN else value
        return passed if passed.kind in (Kind.TENSOR, Kind.TENSORS) and passed.sure else value

    def _passed(self, function: Function, arg: ast.arg) -> Value:
        """What the calls in this module pass for a parameter; of calls that do not show it, one that does decides."""
        default = _default(function.node.args, arg)
        values = []
        for call, bound in self._callers.of(function):
            given = argument(call, function, arg, bound) or default
            env = self._flow.environment(call) if given is not default else {}
            value = self._of(given, env) if given is not None and env is not None else UNKNOWN
            values.append(value if not (given is default and value.kind is Kind.PLAIN) else NOTHING)
        known = joined(value for value in values if value.kind is not Kind.UNKNOWN)
        is_all = all(value.kind is not Kind.UNKNOWN for value in values)
        return known if is_all or known.kind is Kind.TENSOR else UNKNOWN

    def _unannotated(self, function: Function, arg: ast.arg, default: ast.expr | None) -> Value:
        if default is not None and not (isinstance(default, ast.Constant) and default.value is None):
            return PLAIN if isinstance(default, ast.Constant) else UNKNOWN
        is_input = function.node.name == "forward" and function.owner is not None
        if is_input and arg is function.node.args.args[0]:
            return UNKNOWN
        if self._members.used_as_tensor(function, arg.arg, is_input):
            return TENSOR
        passed = self._passed(function, arg) if self._callers.of(function) else UNKNOWN
        if passed.kind in (Kind.TENSOR, Kind.TENSORS):
            return passed
        return TENSOR.unsure if is_input else UNKNOWN

    def _name(self, node: ast.Name, env: Environment) -> Value:
        if (found := env.get(node.id)) is not None:
            return joined(map(self._defined, found)) if len(found) > 1 else self._defined(found[0])
        values = self._outline.values.get(node.id, ())
        return self._once((node.id,), lambda: self._of(values[0], {})) if len(values) == 1 else UNKNOWN

    def _constant(self, node: ast.Constant, env: Environment) -> Value:
        return NONE if node.value is None else PLAIN

    def _plain(self, node: ast.expr, env: Environment) -> Value:
        return PLAIN

    def _tuple(self, node: ast.Tuple | ast.List, env: Environment) -> Value:
        if any(isinstance(one, ast.Starred) for one in node.elts):
            return UNKNOWN
        return sequence(self._of(one, env) for one in node.elts)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, env: Environment) -> Value:
        inside = self._flow.environments.get(node.elt)
        element = self._of(node.elt, inside) if inside is not None else UNKNOWN
        if element.kind is Kind.TENSOR and not element.optional:
            return Value(Kind.TENSORS, element.sure)
        return SIZE if element.kind is Kind.PLAIN else UNKNOWN

    def _operation(self, node: ast.BinOp, env: Environment) -> Value:
        left = node.left
        if isinstance(left, ast.JoinedStr) or (isinstance(left, ast.Constant) and isinstance(left.value, str)):
            return PLAIN
        sides = [self._of(left, env), self._of(node.right, env)]
        if sides[0].kind in (Kind.TENSORS, Kind.SIZE):  # a longer list
            return Value(sides[0].kind, sides[0].sure) if sides[0].kind is sides[1].kind else UNKNOWN
        return self._binary(sides, isinstance(node.op, _BITWISE))

    def _binary(self, sides: Sequence[Value], bitwise: bool = False) -> Value:
        tensors = [side for side in sides if side.kind is Kind.TENSOR]
        if tensors:  # None takes no part in arithmetic
            boolean = bitwise and all(side.boolean for side in sides)
            return Value(Kind.TENSOR, any(side.sure for side in tensors), boolean=boolean)
        if all(side.kind is Kind.PLAIN for side in sides):
            return PLAIN
        return NOTHING if all(side.kind is Kind.NOTHING for side in sides) else UNKNOWN

    def _unary(self, node: ast.UnaryOp, env: Environment) -> Value:
        if isinstance(node.op, ast.Not):
            return PLAIN
        value = self._of(node.operand, env)
        return value if value.kind in (Kind.TENSOR, Kind.PLAIN) else UNKNOWN

    def _compare(self, node: ast.Compare, env: Environment) -> Value:
        if len(node.ops) != 1 or isinstance(node.ops[0], ast.Is | ast.IsNot | ast.In | ast.NotIn):
            return PLAIN
        sides = [self._of(node.left, env), self._of(node.comparators[0], env)]
        texts = (one.value for one in (node.left, node.comparators[0]) if isinstance(one, ast.Constant))
        if any(value is None or isinstance(value, str) for value in texts):
            return PLAIN
        tensors = [side for side in sides if side.kind is Kind.TENSOR]
        if tensors:
            return BOOLEAN if any(side.sure and not side.optional for side in tensors) else BOOLEAN.unsure
        return PLAIN if all(side.kind in (Kind.PLAIN, Kind.SIZE) for side in sides) else UNKNOWN

    def _boolean(self, node: ast.BoolOp, env: Environment) -> Value:
        return joined(self._of(one, self._flow.environments.get(one, env)) for one in node.values)

    def _choice(self, node: ast.IfExp, env: Environment) -> Value:
        arms = (one for one in (node.body, node.orelse) if one in self._flow.environments)
        return joined(self._of(one, self._flow.environments[one]) for one in arms)

    def _walrus(self, node: ast.NamedExpr, env: Environment) -> Value:
        return self._of(node.value, env)

    def _attribute(self, node: ast.Attribute, env: Environment) -> Value:
        if isinstance(node.value, ast.Name) and (owner := self._self(node.value, env)) is not None:
            return self._once((owner, node.attr), lambda: self._member(owner, node.attr))
        value = self._of(node.value, env)
        if value.kind is Kind.TENSOR:
            if node.attr in api.ATTRIBUTES:
                return Value(Kind.TENSOR, value.sure)
            return SIZE if node.attr == "shape" else PLAIN if node.attr in api.PLAIN_ATTRIBUTES else UNKNOWN
        if node.attr in ("dtype", "device", "ndim", "is_cuda"):
            return PLAIN
        if node.attr == "shape":
            return SIZE
        return PLAIN if self._meaning(node, env) in api.BUILTINS else UNKNOWN

    def _self(self, node: ast.Name, env: Environment) -> Class | None:
        """The class whose instance a name stands for, where it is a method's first parameter."""
        found = env.get(node.id)
        if found is None or len(found) != 1 or not isinstance(arg := found[0].node, ast.arg):
            return None
        function = self._flow.parameters[arg]
        first = [*function.node.args.posonlyargs, *function.node.args.args][:1]
        return function.owner if function.owner is not None and [arg] == first else None

    def _member(self, owner: Class, name: str) -> Value:
        if name in _NO_TENSORS:
            return UNKNOWN
        found = [UNKNOWN if one is None else self._defined(one) for one in self._members.given(owner, name)]
        return joined(found) if found else UNKNOWN

    def _subscript(self, node: ast.Subscript, env: Environment) -> Value:
        value = self._of(node.value, env)
        if isinstance(node.slice, ast.Slice) and value.kind in (Kind.SIZE, Kind.TENSORS):
            return Value(value.kind, value.sure)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            return value.item(node.slice.value)
        if value.kind is Kind.TENSOR:
            return Value(Kind.TENSOR, value.sure, boolean=value.boolean)
        return value.element

    def _call(self, node: ast.Call, env: Environment) -> Value:
        function = node.func
        name = self._meaning(function, env)
        if name.startswith("torch."):
            return self._torch(name, node, env)
        if name in api.BUILTINS:
            return PLAIN
        if isinstance(function, ast.Name):
            return self._called(function, name, node, env)
        if not isinstance(function, ast.Attribute):
            return UNKNOWN
        if isinstance(function.value, ast.Name) and (owner := self._self(function.value, env)) is not None:
            method = self._outline.method(owner, function.attr)
            if method is not None:
                return self._returned(method)
            return self._layer(owner, function.attr)
        return self._method(self._of(function.value, env), function.attr, node, env)

    def _torch(self, name: str, node: ast.Call, env: Environment) -> Value:
        short = name.rpartition(".")[2]
        owner = name[: -len(short) - 1]
        if owner == "torch.nn.functional":
            more = short in api.FUNCTIONALS_THAT_RETURN_MORE or _has(node, "return_indices", "need_weights")
            return UNKNOWN if more else TENSOR
        if owner in ("torch.nn", "torch") and short in api.CLASSES:
            return TENSOR
        if owner in ("torch.fft", "torch.special"):
            return TENSOR
        if owner != "torch" and owner != "torch.linalg":
            return UNKNOWN
        if short in ("max", "min"):
            return self._extreme(node.args[1:], node, env, 1)
        if short in api.SEQUENCES:
            return TENSORS
        if short in api.PAIRS:
            return sequence((TENSOR, TENSOR))
        if short in api.PLAIN:
            return PLAIN
        if short in ("nonzero", "where") and (len(node.args) == 1 and (short == "where" or _has(node, "as_tuple"))):
            return TENSORS
        if short in api.FUNCTIONS or short in ("norm", "vector_norm", "matrix_norm", "inv", "det", "solve"):
            boolean = short in api.BOOLEAN or self._asks_for_bool(node, env)
            return BOOLEAN if boolean else TENSOR
        return UNKNOWN

    def _method(self, owner: Value, name: str, node: ast.Call, env: Environment) -> Value:
        if owner.kind is not Kind.TENSOR:
            if name in ("size", "dim", "numel"):
                return SIZE if name == "size" and not node.args else PLAIN
            return PLAIN if owner.kind in (Kind.PLAIN, Kind.SIZE) else UNKNOWN
        if name in ("max", "min"):
            found = self._extreme(node.args, node, env, 0)
        elif name == "size":
            return PLAIN if node.args or node.keywords else SIZE
        elif name in api.SEQUENCES or (name == "nonzero" and _has(node, "as_tuple")):
            found = TENSORS
        elif name in api.PAIRS:
            found = sequence((TENSOR, TENSOR))
        elif name in api.PLAIN or name in ("item", "tolist", "is_nonzero"):
            return PLAIN
        elif name in api.METHODS or (name.endswith("_") and not name.startswith("_")):
            keeps = owner.boolean and name in _KEEP_BOOLEAN
            boolean = name in api.BOOLEAN or name == "bool" or keeps or self._asks_for_bool(node, env)
            found = BOOLEAN if boolean else TENSOR
        else:
            return UNKNOWN
        return found if owner.sure else found.unsure

    def _extreme(self, given: Sequence[ast.expr], node: ast.Call, env: Environment, skipped: int) -> Value:
        """`max` and `min`: one tensor of all, or of two; values and indices along a dim."""
        if not given and not any(keyword.arg in ("dim", "keepdim", "axis") for keyword in node.keywords):
            return TENSOR
        if len(given) == 1 and self._of(given[0], env).kind is Kind.TENSOR:
            return TENSOR
        return sequence((TENSOR, TENSOR))

    def _asks_for_bool(self, node: ast.Call, env: Environment) -> bool:
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(isinstance(one, ast.Attribute) and self._meaning(one, env) == "torch.bool" for one in values)

    def _called(self, function: ast.Name, name: str, node: ast.Call, env: Environment) -> Value:
        if name in ("abs", "sum", "max", "min", "round") and node.args:
            values = [self._of(one, env) for one in node.args]
            found = values if name in ("abs", "round") or len(values) > 1 else [values[0].element]
            return joined(found)
        if name in ("tuple", "list", "sorted", "reversed", "iter") and len(node.args) == 1:
            return self._of(node.args[0], env)
        if name == "enumerate" and node.args:
            return Value(Kind.UNKNOWN, items=(sequence((PLAIN, self._of(node.args[0], env).element)),))
        if name == "zip":
            return Value(Kind.UNKNOWN, items=(sequence(self._of(one, env).element for one in node.args),))
        given = env.get(function.id)
        if given is None:
            local = self._outline.functions.get(function.id)
        else:
            walked = self._flow.walked.get(given[0].node) if len(given) == 1 else None
            local = walked.function if walked is not None else None
        return self._returned(local) if local is not None else UNKNOWN

    def _returned(self, function: Function) -> Value:
        return self._once(function, lambda: self._returns(function))

    def _returns(self, function: Function) -> Value:
        node = function.node
        if node.returns is not None:
            found = annotated(node.returns, lambda one: self._meaning(one, {}))
            if found.kind is not Kind.UNKNOWN or found.items is not None:
                return found
        walked = self._flow.of(function)
        if walked is None or isinstance(node, ast.AsyncFunctionDef) or _yields(walked.nodes):
            return UNKNOWN
        return joined(map(self.value, walked.returns))

    def _layer(self, owner: Class, name: str) -> Value:
        """What a call of `self.name` gives, where it holds a layer of torch or of this module."""
        given = [one.node if one is not None and not one.path else None for one in self._members.given(owner, name)]
        found = [self._layer_returns(one) for one in given]
        return joined(found) if found else UNKNOWN

    def _layer_returns(self, node: Any) -> Value:
        if not isinstance(node, ast.Call):
            return UNKNOWN
        name = self.meaning(node.func)
        if name.startswith("torch.nn.") and name.rpartition(".")[2] in api.LAYERS:
            return TENSOR
        local = self._outline.classes.get(node.func.id) if isinstance(node.func, ast.Name) else None
        forward = self._outline.method(local, "forward") if local is not None else None
        return self._returned(forward) if forward is not None else UNKNOWN


_NO_TENSORS = frozenset({"config", "training"})
"""Attributes that most modules have, and that never are tensors."""
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)
_KEEP_BOOLEAN = frozenset(
    """
    to cpu cuda clone detach contiguous view reshape unsqueeze squeeze expand expand_as repeat transpose permute flatten
    flip roll t tile masked_fill unflatten
    """.split()
)


def _step(value: Value, step: int | str) -> Value:
    """What a step of a path leads to."""
    if isinstance(step, int):
        return value.item(step)
    if step == EACH:
        return value.element
    if step == IS_TENSOR:
        return value if value.kind is Kind.TENSOR and value.sure and not value.optional else TENSOR
    if step == IS_OTHER:
        return UNKNOWN if value.kind is Kind.TENSOR else value
    if step == IS_NONE:
        return NONE
    if step == IS_SOME:
        return NOTHING if value.kind is Kind.NONE else Value(value.kind, value.sure, False, value.boolean, value.items)
    return UNKNOWN if step == ENTER else value


def _default(arguments: ast.arguments, arg: ast.arg) -> ast.expr | None:
    plain = [*arguments.posonlyargs, *arguments.args]
    for args, defaults in ((plain, arguments.defaults), (arguments.kwonlyargs, arguments.kw_defaults)):
        if arg in args and (place := args.index(arg) - len(args) + len(defaults)) >= 0:
            return defaults[place]
    return None


def _has(node: ast.Call, *names: str) -> bool:
    return any(keyword.arg in names for keyword in node.keywords)


def _yields(nodes: dict[type[ast.AST], list[ast.AST]]) -> bool:
    return ast.Yield in nodes or ast.YieldFrom in nodes


_EXPRESSIONS: dict[type[ast.expr], Callable[[Inference, Any, Environment], Value]] = {
    ast.Name: Inference._name,
    ast.Constant: Inference._constant,
    ast.JoinedStr: Inference._plain,
    ast.Tuple: Inference._tuple,
    ast.List: Inference._tuple,
    ast.ListComp: Inference._comprehension,
    ast.GeneratorExp: Inference._comprehension,
    ast.BinOp: Inference._operation,
    ast.UnaryOp: Inference._unary,
    ast.Compare: Inference._compare,
    ast.BoolOp: Inference._boolean,
    ast.IfExp: Inference._choice,
    ast.NamedExpr: Inference._walrus,
    ast.Attribute: Inference._attribute,
    ast.Subscript: Inference._subscript,
    ast.Call: Inference._call,
}
