"""Turns a condition that Python decides into one boolean tensor, and gathers the parts of a template on the way."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from graphfix.rule import Rewrite, Site
from graphfix.source._shape import Part
from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._match import dotted, is_boolean, is_pure

_WIDTH = 100
"""Longer calls go over several lines."""
_OPENING = re.compile(r"(return |[^=(]+ = |[^=(]+\.copy_\()?(\{torch\}\.\w+\(|[{\[](?!part)|(\{part\d+\}\.)?[\w.]+\()")
"""The beginning of a statement, up to the first argument of its call or the first element of what it makes."""
_BRANCHES = (ast.If, ast.IfExp, ast.While, ast.Assert)


@dataclass
class Build:
    """A template in the making: its slots, and names that nothing else has."""

    module: Module
    named: ast.AST
    """What Dynamo named, so a tensor for certain."""
    parts: dict[str, Part] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    tensors: frozenset[str] = frozenset()
    """Names that stand for tensors where the template runs, whatever they are elsewhere."""

    def __post_init__(self) -> None:
        named = self.named.test if isinstance(self.named, ast.If | ast.IfExp | ast.While | ast.Assert) else self.named
        self.named = _meant(self.module, named)
        self.tensors |= _names_of_tensors(self.module, self.named)

    def slot(self, part: Part) -> str:
        """A slot for a part."""
        name = f"part{len(self.parts)}"
        self.parts[name] = part
        return f"{{{name}}}"

    def fresh(self, wanted: str) -> str:
        """A name that the module does not use."""
        if not self.names:
            self.names = {node.id for node in ast.walk(self.module.tree) if isinstance(node, ast.Name)}
            self.names |= {node.arg for node in ast.walk(self.module.tree) if isinstance(node, ast.arg)}
        name, number = wanted, 2
        while name in self.names:
            name, number = f"{wanted}_{number}", number + 1
        self.names.add(name)
        return name

    def text(self, template: str) -> str:
        """Roughly the text that a template comes to."""
        for name, part in self.parts.items():
            if isinstance(part, ast.expr):
                template = template.replace(f"{{{name}}}", self.module.segment(part))
        return template

    def where(self, condition: str, yes: str, no: str) -> str:
        """`torch.where`, or what both ways agree on."""
        if self.text(yes) == self.text(no):
            return yes
        return f"{{torch}}.where({condition}, {yes}, {no})"

    def put(
        self, site: Site, old: ast.AST | Sequence[ast.stmt], template: str, branch: ast.expr | None = None
    ) -> Rewrite | None:
        """The rewrite; `branch` is the condition of the branch whose ways are to be witnessed."""
        made = site.replace(old, template, **self.parts)
        if made is None or branch is None:
            return made
        return replace(made, branch=self.module.location(branch))

    def put_value(self, site: Site, old: ast.expr, text: str, branch: ast.expr | None = None) -> Rewrite | None:
        """The rewrite of an expression; of its statement, where a comment stands in the expression."""
        made = self.put(site, old, text, branch)
        holder = next(self.module.parents(old), None)
        if made is None and isinstance(holder, ast.Return):
            return self.put(site, holder, self.wrapped(f"return {text}"), branch)
        if made is None and isinstance(holder, ast.Assign) and len(holder.targets) == 1:
            return self.put(site, holder, self.wrapped(f"{self.slot(holder.targets[0])} = {text}"), branch)
        return made

    def wrapped(self, statement: str) -> str:
        """A statement, its outermost call of `torch.where` over several lines where it is too long for one."""
        if "\n" in self.text(statement) or len(self.text(statement)) + 8 <= _WIDTH:
            return statement
        opening = _OPENING.match(statement)
        if opening is None:
            return statement
        arguments, tail = _arguments(statement[opening.end() :])
        inner = "".join(f"\n    {argument}," for argument in arguments)
        return f"{opening[0]}{inner}\n{tail}" if tail in (")", "}", "]") else statement


def _arguments(text: str) -> tuple[list[str], str]:
    """The arguments of a call whose parenthesis was just opened, and what follows it."""
    depth, start, found, quoted = 0, 0, list[str](), False
    for at, sign in enumerate(text):
        quoted ^= sign == '"' and text[at - 1 : at] != "\\"
        if quoted:
            continue
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            if depth == 0:
                return [*found, text[start:at].strip()], text[at:]
            depth -= 1
        elif sign == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
    return [text], ""


def _meant(module: Module, named: ast.AST) -> ast.AST:
    """What a break is about: of `m is not None and m.any()`, Dynamo names the first part (seen on 2.13)."""
    whole = next(module.parents(named), None)
    if not isinstance(whole, ast.BoolOp) or not isinstance(named, ast.expr):
        return named
    behind = whole.values[whole.values.index(named) + 1 :]
    if is_plain(module, named):
        return next((part for part in behind if not is_plain(module, part)), named)
    if _is_known_tensor(module, named):
        return named
    return next((part for part in behind if _is_known_tensor(module, part)), named)


def _is_known_tensor(module: Module, node: ast.expr) -> bool:
    while isinstance(node, ast.UnaryOp):
        node = node.operand
    return module.analysis.value(unread(node)[0]).kind is Kind.TENSOR


def _names_of_tensors(module: Module, named: ast.AST) -> set[str]:
    """The name that must be a tensor's in a comparison that Dynamo named: the other side is none."""
    if not isinstance(named, ast.Compare) or len(named.ops) != 1:
        return set()
    sides = [named.left, named.comparators[0]]
    open_sides = [side for side in sides if module.analysis.value(side).kind not in (Kind.PLAIN, Kind.SIZE, Kind.NONE)]
    return {side.id for side in open_sides if isinstance(side, ast.Name)} if len(open_sides) == 1 else set()


def is_plain(module: Module, node: ast.expr) -> bool:
    """Whether Python decides a condition without a tensor's values, for certain."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return is_plain(module, node.operand)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in node.ops):
            return True
        if any(_describes(side) for side in sides):
            return not any(module.analysis.value(side).kind is Kind.TENSOR for side in sides)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _READS:
        return False
    return _describes(node) or module.analysis.value(node).kind in (Kind.PLAIN, Kind.SIZE, Kind.NONE)


def _describes(node: ast.expr) -> bool:
    """`x.dtype`, `x.shape[0]`, `x.dim()`, `len(x)`, `isinstance(x, T)` and their like."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.Attribute) and dotted(node.value) == "torch":
        return _DTYPE.fullmatch(node.attr) is not None
    if isinstance(node, ast.Attribute):
        return node.attr in {
            "dtype",
            "device",
            "type",
            "ndim",
            "shape",
            "layout",
            "training",
            "is_cuda",
            "requires_grad",
        }
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"dim", "size", "numel", "is_floating_point", "is_contiguous", "get"}
    names = {"len", "isinstance", "hasattr", "callable", "issubclass", "getattr"}
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


_DTYPE = re.compile(r"(bfloat16|(float|int|uint|complex)\d+|half|float|double|int|long|short|bool)")
_READS = frozenset({"item", "tolist"})


@dataclass(frozen=True)
class Decision:
    """A condition: what Python decides by itself (all of `plain` must hold), and the tensor that decides the rest."""

    plain: tuple[ast.expr, ...]
    tensor: str

    def guard(self, build: Build, body: str) -> str:
        """Statements that run where the plain part holds."""
        if not self.plain:
            return body
        inner = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
        return f"if {self.python(build)}:\n{inner}"

    def python(self, build: Build) -> str:
        """The plain part."""
        return " and ".join(map(build.slot, self.plain))


def decide(build: Build, test: ast.expr, holds: bool = True) -> Decision | None:
    """The condition as a tensor (its negation, if not `holds`); None where it has no tensor or cannot be one."""
    plain: list[ast.expr] = []
    rest: list[ast.expr] = []
    if holds and isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for value in test.values:
            (rest if is_decided_by_tensor(build, value) else plain).append(value)
        if rest and not all(is_pure(value) for value in plain):
            return None
    else:
        rest = [test]
    found = [as_tensor(build, one, holds) for one in rest]
    if not found or None in found or not any(is_decided_by_tensor(build, one) for one in rest):
        return None
    return Decision(tuple(plain), _joined(" & ", [one for one in found if one is not None]))


def negated(build: Build, test: ast.expr) -> Decision | None:
    """The plain part, and a tensor that is true where the tensor part of the condition is not."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        plain = [value for value in test.values if not is_decided_by_tensor(build, value)]
        rest = [value for value in test.values if value not in plain]
        if not rest or not all(is_pure(value) for value in plain):
            return None
        found = [as_tensor(build, one, False) for one in rest]
        texts = [one for one in found if one is not None]
        return Decision(tuple(plain), _joined(" | ", texts)) if len(texts) == len(rest) else None
    return decide(build, test, holds=False)


def is_decided_by_tensor(build: Build, test: ast.expr) -> bool:
    """Whether a tensor decides a condition or a part of it: what Dynamo named does, other parts as their text shows."""
    if isinstance(test, ast.BoolOp):
        return any(is_decided_by_tensor(build, value) for value in test.values)
    if any(node is build.named for node in ast.walk(test)):
        return True
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return is_decided_by_tensor(build, test.operand)
    if isinstance(test, ast.Compare):
        if any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in test.ops):
            return False
        return any(_is_tensor(build, unread(side)[0]) for side in (test.left, *test.comparators))
    return _is_tensor(build, unread(test)[0])


def _is_tensor(build: Build, node: ast.expr) -> bool:
    """Whether an expression is a tensor, as far as its text, or the name of a method that only tensors have, tells."""
    if isinstance(node, ast.Name) and node.id in build.tensors:
        return True
    kind = build.module.analysis.value(node).kind
    if kind is not Kind.UNKNOWN:
        return kind is Kind.TENSOR
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _REDUCTIONS


def unread(node: ast.expr) -> tuple[ast.expr, str]:
    """`t` of `t.item()`, `float(t)`, `int(t)`, `bool(t)`, and the outermost of these, empty where there is none."""
    how = ""
    while isinstance(node, ast.Call) and not node.keywords:
        if isinstance(node.func, ast.Attribute) and not node.args and node.func.attr in {"item", "cpu"}:
            how, node = how or ("float" if node.func.attr == "item" else ""), node.func.value
        elif isinstance(node.func, ast.Name) and node.func.id in {"bool", "int", "float"} and len(node.args) == 1:
            how, node = how or node.func.id, node.args[0]
        else:
            break
    return node, how


def as_tensor(build: Build, test: ast.expr, holds: bool = True) -> str | None:
    """A condition, or its negation, as the text of a boolean tensor; None where it cannot be one."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return as_tensor(build, test.operand, not holds)
    if isinstance(test, ast.BoolOp):
        parts = [_operand(build, value, holds) for value in test.values]
        both = isinstance(test.op, ast.And) == holds
        texts = [part for part in parts if part is not None]
        return _joined(" & " if both else " | ", texts) if len(texts) == len(parts) else None
    if isinstance(test, ast.Compare):
        text = _comparison(build, test)
        return text if text is None or holds else f"~({text})"
    return _truth(build, test, holds)


def _operand(build: Build, value: ast.expr, holds: bool) -> str | None:
    """A part of `and` or `or`: a flag stays one, since a boolean tensor takes it."""
    if is_decided_by_tensor(build, value) or not isinstance(value, ast.Name | ast.Attribute):
        return as_tensor(build, value, holds) if is_decided_by_tensor(build, value) else None
    return f"bool({build.slot(value)})" if holds else f"(not {build.slot(value)})"


def _truth(build: Build, test: ast.expr, holds: bool) -> str | None:
    """What `bool()` of a tensor is."""
    if isinstance(test, ast.Constant | ast.Lambda | ast.JoinedStr):
        return None
    if (call := _whole(build, test)) is not None:
        return call if holds else f"~{call}"
    node, _ = unread(test)
    slot = build.slot(node)
    if is_boolean(build.module, node) or _is_reduced_boolean(build.module, node):
        return slot if holds else f"~{slot}"
    return f"{slot} != 0" if holds else f"{slot} == 0"


def _is_reduced_boolean(module: Module, node: ast.expr) -> bool:
    value = module.analysis.value(node)
    if value.kind is Kind.TENSOR and value.boolean:
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"any", "all"}


def _whole(build: Build, test: ast.expr) -> str | None:
    """`torch.equal(a, b)` and its like, which give a Python bool, and `all(…)`, `any(…)` of a generator."""
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id in {"all", "any"}:
        return _each(build, test)
    if not isinstance(test, ast.Call) or test.keywords or len(test.args) != 2:
        return None
    name = dotted(test.func)
    if name == "torch.equal":
        return f"({build.slot(test.args[0])} == {build.slot(test.args[1])}).all()"
    if name == "torch.allclose":
        return f"{{torch}}.isclose({build.slot(test.args[0])}, {build.slot(test.args[1])}).all()"
    return None


def _each(build: Build, test: ast.Call) -> str | None:
    """`all(x > 0 for x in xs)` as a tensor."""
    each = test.args[0] if len(test.args) == 1 else None
    if not isinstance(each, ast.GeneratorExp | ast.ListComp) or len(each.generators) != 1:
        return None
    around, element = each.generators[0], as_tensor(build, each.elt)
    if around.ifs or around.is_async or element is None:
        return None
    target, among = build.slot(around.target), build.slot(around.iter)
    return f"{{torch}}.stack([{element} for {target} in {among}]).{ast.unparse(test.func)}()"


_REDUCTIONS = frozenset(
    "any all sum mean max min amax amin norm std var median prod isnan isinf isfinite abs count_nonzero".split()
)

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def _comparison(build: Build, test: ast.Compare) -> str | None:
    sides = [test.left, *test.comparators]
    signs = [_SIGNS.get(type(op)) for op in test.ops]
    if None in signs or (len(signs) > 1 and not all(is_pure(side) for side in sides[1:-1])):
        return None
    texts = []
    for left, sign, right in zip(sides, signs, sides[1:], strict=False):
        texts.append(f"{_side(build, left, right)} {sign} {_side(build, right, left)}")
    return _joined(" & ", texts)


def _side(build: Build, side: ast.expr, other: ast.expr) -> str:
    """One side of a comparison. What Python would compare in double precision, the tensor does as well."""
    node, how = unread(side.value if isinstance(side, ast.NamedExpr) else side)
    if not how:
        return build.slot(side)
    slot = build.slot(node)
    if isinstance(side, ast.NamedExpr):
        slot = f"({build.slot(side.target)} := {slot})"
    if how == "int":
        return f"{slot}.long()"
    if how == "bool":
        return f"{slot}.bool()"
    return slot if unread(other)[1] or _is_short(other) or _counts(node) else f"{slot}.double()"


def _counts(node: ast.expr) -> bool:
    """Whether a tensor holds a count or truth, which any precision keeps."""
    inner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
    names = {"count_nonzero", "numel", "argmax", "argmin", "any", "all"}
    return (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names) or (
        isinstance(inner, ast.Compare)
    )


def _is_short(node: ast.expr) -> bool:
    """A number that float16 and bfloat16 hold exactly as well."""
    value = node.operand if isinstance(node, ast.UnaryOp) else node
    if not isinstance(value, ast.Constant) or not isinstance(value.value, int | float):
        return False
    return (abs(value.value) <= 256 and float(value.value).is_integer()) or value.value in (0.5, 0.25, 0.125, 1.5, 2.5)


def _joined(sign: str, texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return sign.join(text if _is_tight(text) else f"({text})" for text in texts)


def _is_tight(text: str) -> bool:
    """Whether a text binds closer than `&`: slots get parentheses of their own where they need them."""
    depth = 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if depth == 0 and sign == " ":
            return False
    return True


def branch_of(site: Site, *kinds: type[ast.AST]) -> ast.AST | None:
    """The innermost statement or expression of these kinds whose condition holds what Dynamo named."""
    child = site.node
    if isinstance(child, kinds):
        return child
    for parent in site.module.parents(site.node):
        if isinstance(parent, _BRANCHES):
            return parent if isinstance(parent, kinds) and parent.test is child else None
        if isinstance(parent, ast.stmt | ast.Lambda):
            return None
        child = parent
    return None
