"""Turns expressions of numbers that are read out of tensors into expressions of tensors."""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass, field

from graphfix.rule import Rewrite, Site
from graphfix.source.module import FUNCTIONS, Module

from ._dims import changes_in_place, has_no_dims, has_no_gradient, owner_of
from ._match import dotted, is_boolean, is_pure
from ._reads import CONVERSIONS, MATH, TRANSPARENT, Read, is_number, math_function, read_at, reads_in

_WHOLE = frozenset({"floor", "ceil", "trunc"})
"""Functions of `math` that give an int."""
_TENSOR_DECORATORS = re.compile(r"(^|\.)(no_grad|inference_mode)$")


@dataclass
class Numbers:
    """Turns an expression of numbers into one of tensors: a template, its parts, and the guards it needs.

    `named` are expressions that are tensors though the text does not say so: where Dynamo broke.
    """

    module: Module
    named: tuple[ast.AST, ...] = ()
    keeps_gradient: bool = False
    parts: dict[str, ast.AST] = field(default_factory=dict)
    guards: list[str] = field(default_factory=list)

    def template(self, node: ast.expr) -> str:
        """The template for the whole expression."""
        return _slots(ast.unparse(self.tensor(node)))

    def reshaped(self, node: ast.expr, shape: int) -> str:
        """The template for the whole expression, reshaped."""
        reshape = ast.Attribute(self.tensor(node), "reshape", ast.Load())
        return _slots(ast.unparse(ast.Call(reshape, [ast.Constant(shape)], [])))

    def compared(self, node: ast.expr, operator: ast.cmpop, bound: ast.expr) -> str:
        """The template for a comparison of the whole expression."""
        return _slots(ast.unparse(ast.Compare(self.tensor(node), [operator], [bound])))

    def is_closed(self, node: ast.expr) -> bool:
        """Whether a method can be called on the whole expression without parentheses."""
        return isinstance(self.tensor(node), ast.Call | ast.Name | ast.Attribute)

    def dtype(self, node: ast.expr) -> str:
        """The template for the dtype of the whole expression."""
        return _slots(ast.unparse(ast.Attribute(self.tensor(node), "dtype", ast.Load())))

    def tensor(self, node: ast.expr) -> ast.expr:
        """The expression with tensors for the numbers that it reads, parts of it that stay as slots."""
        if (read := self._read(node)) is not None:
            return self._of_read(read)
        if node in self.named:
            return self._of_read(Read(node, node))
        if not self.reads(node):
            return self._slot(node)
        new = copy.copy(node)
        if isinstance(new, ast.BinOp):
            new.left, new.right = self.tensor(new.left), self.tensor(new.right)
            self._guard_division(new, node)
            return new
        if isinstance(new, ast.UnaryOp):
            new.operand = self.tensor(new.operand)
            return new
        if isinstance(new, ast.Compare):
            new.left, new.comparators = self.tensor(new.left), [self.tensor(one) for one in new.comparators]
            return new
        if isinstance(new, ast.IfExp):
            new.test = self._slot(new.test)
            new.body, new.orelse = self.tensor(new.body), self.tensor(new.orelse)
            return new
        return self._of_call(new) if isinstance(new, ast.Call) else self._slot(node)

    def written(self, template: str) -> str:
        """A template with the text of the parts in place of their slots."""
        for name, part in self.parts.items():
            template = template.replace(f"{{{name}}}", ast.unparse(part))
        return template

    def reads(self, node: ast.expr) -> bool:
        """Whether a number is read out of a tensor in the expression."""
        inside = list(ast.walk(node))
        return any(one in self.named for one in inside) or any(True for _ in reads_in(self.module, node))

    def _read(self, node: ast.expr) -> Read | None:
        return read_at(self.module, node, sure=node in self.named)

    def _of_read(self, read: Read) -> ast.expr:
        module, tensor = self.module, read.tensor
        made: ast.expr = self._slot(tensor)
        if not self.keeps_gradient and not gradient_is_cut(module, read):
            made = _method(made, "detach")
        if not has_no_dims(module, tensor):
            made = ast.Call(ast.Attribute(made, "reshape", ast.Load()), [ast.Tuple([], ast.Load())], [])
        known = (read.conversion == "bool" and is_boolean(module, tensor)) or (
            isinstance(tensor, ast.Call)
            and isinstance(tensor.func, ast.Attribute)
            and tensor.func.attr == CONVERSIONS.get(read.conversion)
        )
        return _method(made, CONVERSIONS[read.conversion]) if read.conversion and not known else made

    def _of_call(self, call: ast.Call) -> ast.expr:
        name = dotted(call.func)
        if (function := math_function(self.module, call)) != "":
            arguments = [self.tensor(one) for one in call.args]
            self._guard_domain(function, arguments)
            made: ast.expr = ast.Call(_torch(MATH[function]), self._as_tensors(call.args, arguments), [])
            return _method(made, "long") if function in _WHOLE else made
        if name in CONVERSIONS:
            inner = self.tensor(call.args[0])
            converted = isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and not inner.args
            same = converted and inner.func.attr == CONVERSIONS[name]  # type: ignore[attr-defined]
            return inner if same else _method(inner, CONVERSIONS[name])
        if name == "round":
            arguments = [self.tensor(call.args[0])]
            if len(call.args) == 1:
                return _method(ast.Call(_torch("round"), arguments, []), "long")
            return ast.Call(_torch("round"), arguments, [ast.keyword("decimals", self._slot(call.args[1]))])
        if name in TRANSPARENT:
            new = copy.copy(call)
            new.func, new.args = self._slot(call.func), [self.tensor(one) for one in call.args]
            return new
        return self._slot(call)

    def _as_tensors(self, old: list[ast.expr], new: list[ast.expr]) -> list[ast.expr]:
        """Functions of torch with two arguments take tensors only."""
        wrap = [one for one, was in zip(new, old, strict=True) if not self.reads(was) and len(old) > 1]
        return [ast.Call(_torch("as_tensor"), [one], []) if one in wrap else one for one in new]

    def _guard_division(self, new: ast.BinOp, old: ast.expr) -> None:
        assert isinstance(old, ast.BinOp)
        divides = isinstance(old.op, ast.Div | ast.FloorDiv | ast.Mod)
        if divides and self.reads(old.right) and is_number(self.module, old.left, self.named):
            self.guards.append(_slots(f"{ast.unparse(ast.Compare(new.right, [ast.NotEq()], [ast.Constant(0)]))}"))

    def _guard_domain(self, function: str, arguments: list[ast.expr]) -> None:
        # said by what is refused: Python takes NaN
        bound = {"sqrt": "< 0", "log": "<= 0", "log2": "<= 0", "log10": "<= 0", "log1p": "<= -1"}.get(function)
        if function in ("asin", "acos"):
            self.guards.append(_slots(f"~(abs({ast.unparse(arguments[0])}) > 1)"))
        elif bound is not None and len(arguments) == 1:
            side = ast.unparse(ast.Compare(arguments[0], [ast.Gt()], [ast.Constant(0)])).removesuffix("> 0")
            self.guards.append(_slots(f"~({side}{bound})"))

    def _slot(self, node: ast.expr) -> ast.Name:
        for name, part in self.parts.items():
            if part is node:
                return ast.Name(f"_{name}_", ast.Load())
        name = f"part{len(self.parts)}"
        self.parts[name] = node
        return ast.Name(f"_{name}_", ast.Load())


def gradient_is_cut(module: Module, read: Read) -> bool:
    """Whether a tensor can stand for the number that is read out of it without letting a gradient through."""
    if read.conversion in ("int", "bool") or has_no_gradient(module, read.tensor):
        return True
    for above in module.parents(read.node):
        if isinstance(above, ast.Compare):
            return True
        if not isinstance(above, ast.expr):
            break
    function = module.function_of(read.node)
    decorators = function.decorator_list if function is not None else []
    names = (dotted(one.func if isinstance(one, ast.Call) else one) for one in decorators)
    return any(_TENSOR_DECORATORS.search(name) for name in names)


def _torch(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("_torch_", ast.Load()), name, ast.Load())


def _method(node: ast.expr, name: str) -> ast.expr:
    return ast.Call(ast.Attribute(node, name, ast.Load()), [], [])


def _slots(text: str) -> str:
    return re.sub(r"\b_(part\d+|torch)_\b", r"{\1}", text)


def statement_of(module: Module, node: ast.AST) -> ast.stmt | None:
    """The statement that evaluates an expression once, each time it runs; None in lambdas, loops' tests and choices."""
    for above in module.parents(node):
        if isinstance(above, ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
            return None
        if isinstance(above, ast.IfExp | ast.BoolOp | ast.While):
            return None
        if isinstance(above, ast.stmt):
            return None if isinstance(above, (*FUNCTIONS, ast.ClassDef)) else above
    return None


def guarded(site: Site, numbers: Numbers, *rewrites: Rewrite | None) -> Rewrite | None:
    """The rewrites, with the guards that the new code needs above the statement."""
    guards = list(dict.fromkeys(numbers.guards))
    if not guards:
        return site.together(*rewrites)
    statement = statement_of(site.module, site.node)
    if statement is None or any(map(_may_write, numbers.parts.values())):
        return None
    said = "graphfix: Python refuses this value"
    text = "\n".join(f'{{torch}}._assert_async({guard}, "{said}")' for guard in guards)
    used = {name: part for name, part in numbers.parts.items() if f"{{{name}}}" in text}
    if not all(map(is_pure, used.values())):  # computed twice
        return None
    return site.together(site.before(statement, text, **used), *rewrites)


def _may_write(part: ast.AST) -> bool:
    """Whether an expression binds a name or calls a method in place."""
    for node in ast.walk(part):
        if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return True
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr.endswith("_") and not called.attr.endswith("__"):
            return True
    return False


def as_tensors(site: Site, node: ast.expr, named: tuple[ast.AST, ...] | None = None) -> Rewrite | None:
    """The expression `node`, rewritten so that what it reads out of tensors stays one."""
    known = (site.node,) if named is None else named
    whole, part = Numbers(site.module, known), Numbers(site.module, known)
    whole.template(node)
    smallest = _smallest(part, node)
    template = part.template(smallest)
    return guarded(site, whole, site.replace(smallest, template, **part.parts))


def _smallest(numbers: Numbers, node: ast.expr) -> ast.expr:
    """The smallest part of an expression outside which nothing changes."""
    while isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.IfExp):
        children = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
        changing = [one for one in children if numbers.reads(one)]
        if len(changing) != 1 or (isinstance(node, ast.IfExp) and changing[0] is node.test):
            return node
        node = changing[0]
    return node


def aliased(site: Site, read: Read) -> bool:
    """Whether the tensor that is read changes in place in the same function, so that a number read before would not."""
    function = site.module.function_of(read.node)
    owner = owner_of(read.tensor)
    return function is not None and owner != "" and changes_in_place(function, owner)


def index_text(part: ast.expr, given: dict[str, ast.AST]) -> str:
    """An index as text with slots, whose parts go to `given`."""

    def slot(node: ast.expr | None) -> str:
        if node is None:
            return ""
        name = f"other{len(given)}"
        given[name] = node
        return f"{{{name}}}"

    if not isinstance(part, ast.Slice):
        return slot(part)
    step = f":{slot(part.step)}" if part.step else ""
    return f"{slot(part.lower)}:{slot(part.upper)}{step}"
