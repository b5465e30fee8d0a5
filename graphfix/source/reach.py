"""Which functions a compiled region runs: `forward`, what is given to `torch.compile`, and what these call."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from enum import Enum

from graphfix.source import torch_api as api
from graphfix.source.flow import Flow
from graphfix.source.inference import Inference
from graphfix.source.module import FUNCTIONS
from graphfix.source.outline import Class, Function, Outline

_NOTHING = frozenset[str]()
_NEVER = frozenset({
    "torch.compiler.disable", "torch._dynamo.disable", "torch.jit.ignore", "torch.jit.unused",
    "torch.jit.export", "torch.library.custom_op", "torch.library.register_fake", "torch.compiler.allow_in_graph",
    "torch._dynamo.allow_in_graph", "torch.compiler.assume_constant_result", "torch._dynamo.nonstrict_trace",
    "overload", "typing.overload", "numba.jit", "numba.njit", "triton.jit", "abstractmethod", "abc.abstractmethod",
})  # fmt: skip
"""Decorators of functions that Dynamo does not trace."""
_NO_MODULES = frozenset({"torch.autograd.Function", "torch.utils.data.Dataset", "abc.ABC", "enum.Enum", "object"})


WITHIN = ".<locals>"
"""After a function's name: the functions within it."""


def may_compile(text: str) -> bool:
    """Whether a text may give something to `torch.compile`; False for certain where it does not."""
    if ", compile" in text or "import compile" in text:
        return True
    return ".compile" in text and text.count(".compile") > text.count("re.compile")


class Reach(Enum):
    """How the text ties a function to a compiled region."""

    COMPILED = 2
    """A `forward`, a function given to `torch.compile`, or called from one of these."""
    PLAUSIBLE = 1
    """A method of a module, or a function that takes tensors: compiled if somebody calls it from compiled code."""
    NONE = 0


class Reached:
    """The reach of one module's functions, and what they call elsewhere."""

    def __init__(
        self,
        outline: Outline,
        flow: Flow,
        inference: Inference,
        gives: ast.Module | None,
        entries: Collection[str] = (),
    ) -> None:
        self._gives = gives  # the module's tree, where it may give something to torch.compile
        self._outline, self._flow, self._inference = outline, flow, inference
        foreign = (name for name, meaning in outline.imports.items() if not meaning.startswith("torch"))
        self._named = {*outline.functions, *foreign}
        """The names by which functions of this and of other modules are called."""
        self._modules: dict[Class, bool] = {}
        self._calls: dict[Function, tuple[list[Function], set[str]]] = {}
        self._decorators: dict[Function, frozenset[str]] = {}
        named = [one for one in outline.all if one.name in entries or _within(one) in entries] if entries else ()
        self.compiled = self._follow([*self._roots(), *named])

    def of(self, function: Function) -> Reach:
        """How the function is tied to a compiled region."""
        if function in self.compiled:
            return Reach.COMPILED
        return Reach.PLAUSIBLE if self._plausible(function) else Reach.NONE

    def may_be(self, function: Function) -> bool:
        """Whether compiled code could run the function: Dynamo traces it, and it is no `__init__` or the like."""
        if function in self.compiled:
            return True
        if function.outer is not None:
            return self.may_be(function.outer)
        return not function.is_special and not self._never(function)

    def calls(self, function: Function) -> tuple[list[Function], set[str]]:
        """The functions of this module that a function calls, and the qualified names of others that it calls."""
        if function not in self._calls:
            self._calls[function] = self._called(function)
        return self._calls[function]

    def _called(self, function: Function) -> tuple[list[Function], set[str]]:
        local, foreign = list(function.inner.values()), set[str]()
        for around in self._around(function):
            if isinstance(around, Function):
                local += around.inner.values()
            else:
                foreign.add(f"{around}{WITHIN}")
        for node in self._nodes(function, ast.Call):
            assert isinstance(node, ast.Call)
            target = self._target(function, node.func)
            if isinstance(target, Function):
                local.append(target)
            elif target and not target.startswith("torch."):
                foreign.add(target)
        return local, foreign

    def _around(self, function: Function) -> Iterator[Function | str]:
        """The decorators whose inner functions run where the function is called in compiled code: those of this module,
        and the qualified names of others."""
        for decorator in reversed(function.node.decorator_list):
            named = decorator.func if isinstance(decorator, ast.Call) else decorator
            meaning = self._inference.meaning(named)
            if meaning == "torch.compile":
                return  # those above it are not compiled
            if isinstance(named, ast.Name) and (found := self._outline.functions.get(named.id)) is not None:
                yield found
            elif "." in meaning and not meaning.startswith(("torch.", "functools.", "typing.")):
                yield meaning

    def _nodes(self, function: Function, kind: type[ast.AST]) -> list[ast.AST]:
        walked = self._flow.of(function)
        return walked.nodes.get(kind, []) if walked else []

    def _target(self, function: Function, called: ast.expr) -> Function | str:
        """What a call calls: a function of this module, or a qualified name, empty where the text does not show it."""
        if isinstance(called, ast.Name):
            if called.id not in self._named:
                return ""
            name = self._inference.meaning(called)
            return name if "." in name else self._outline.functions.get(called.id, "")
        if not isinstance(called, ast.Attribute):
            return ""
        root = called.value
        if isinstance(root, ast.Name) and (owner := _owner(function, root.id)) is not None:
            return self._outline.method(owner, called.attr) or self._inherited(owner, called.attr)
        if isinstance(root, ast.Call):
            return self._above(function, called.attr) if _is_super(root) else ""
        while isinstance(root, ast.Attribute):
            root = root.value
        is_module = isinstance(root, ast.Name) and root.id in self._named
        return self._inference.meaning(called) if is_module else ""

    def _above(self, function: Function, name: str) -> Function | str:
        """The method that `super().name` finds."""
        if (owner := _owner(function)) is None:
            return ""
        above = (one.methods[name] for one in self._outline.bases(owner)[1:] if name in one.methods)
        return next(above, None) or self._inherited(owner, name)

    def _inherited(self, owner: Class, name: str) -> str:
        """The qualified name of a method that a base from elsewhere may define."""
        for one in self._outline.bases(owner):
            for base in one.node.bases:
                found = self._base(base)
                if found and "." in found and not found.startswith("torch."):
                    return f"{found}.{name}"
        return ""

    def _base(self, node: ast.expr) -> str:
        return self._inference.meaning(node)

    def _roots(self) -> Iterator[Function]:
        for function in self._outline.all:
            if self._never(function):
                continue
            is_method = function.owner is not None and function.node.name == "forward"
            if (is_method and self._is_module(function.owner)) or "torch.compile" in self._decorated(function):
                yield function
        if self._gives is not None:
            yield from self._given(self._gives)

    def _given(self, tree: ast.Module) -> Iterator[Function]:
        """The functions that are given to `torch.compile`, in functions and outside of them."""
        for function in self._outline.all:
            for node in self._nodes(function, ast.Call):
                assert isinstance(node, ast.Call)
                if self._compiles(node) and isinstance(target := self._target(function, node.args[0]), Function):
                    yield target
        todo: list[ast.AST] = [tree]
        while todo:
            one = todo.pop()
            todo += (child for child in ast.iter_child_nodes(one) if not isinstance(child, FUNCTIONS))
            if isinstance(one, ast.Call) and self._compiles(one):
                name = one.args[0].id if isinstance(one.args[0], ast.Name) else ""
                yield from filter(None, [self._outline.functions.get(name)])

    def _compiles(self, node: ast.Call) -> bool:
        return bool(node.args) and self._inference.meaning(node.func) in ("torch.compile", "torch.compiler.compile")

    def _follow(self, roots: Iterable[Function]) -> set[Function]:
        found = set[Function]()
        todo = list(roots)
        while todo:
            one = todo.pop()
            if one in found or self._never(one):
                continue
            found.add(one)
            todo += self.calls(one)[0]
        return found

    def _never(self, function: Function) -> bool:
        return not self._decorated(function).isdisjoint(_NEVER)

    def _decorated(self, function: Function) -> frozenset[str]:
        """The names of a function's decorators, called or not, and of the first arguments of called ones."""
        if not function.node.decorator_list:
            return _NOTHING
        if function not in self._decorators:
            parts: list[ast.expr] = []
            for decorator in function.node.decorator_list:
                parts += [decorator.func, *decorator.args[:1]] if isinstance(decorator, ast.Call) else [decorator]
            self._decorators[function] = frozenset(map(self._inference.meaning, parts))
        return self._decorators[function]

    def _is_module(self, owner: Class | None) -> bool:
        """Whether a class derives from `nn.Module` for all that the text shows: also from one that it does not."""
        assert owner is not None
        if owner not in self._modules:
            bases = [base for one in self._outline.bases(owner) for base in one.node.bases]
            names = [self._base(base) for base in bases if isinstance(base, ast.Name | ast.Attribute)]
            foreign = [name for name in names if name not in self._outline.classes]
            self._modules[owner] = any(_may_be_module(name) for name in foreign) and not (
                any(name in _NO_MODULES or name.endswith(("Dataset", "Function", "Sampler")) for name in foreign)
            )
        return self._modules[owner]

    def _plausible(self, function: Function) -> bool:
        if not self.may_be(function):
            return False
        if function.outer is not None:
            return self._plausible(function.outer)
        if function.owner is not None and self._is_module(function.owner):
            return True
        arguments = (*function.node.args.args, *function.node.args.kwonlyargs)
        return any(arg.annotation is not None and _names_tensor(arg.annotation) for arg in arguments)


def _within(function: Function) -> str:
    return f"{function.outer.name}{WITHIN}" if function.outer is not None else ""


def _may_be_module(name: str) -> bool:
    return name not in _NO_MODULES and not name.startswith(("typing.", "abc.", "collections.", "enum."))


def _names_tensor(annotation: ast.expr) -> bool:
    for node in ast.walk(annotation):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in api.CLASSES or (isinstance(node, ast.Constant) and "Tensor" in str(node.value)):
            return True
    return False


def _owner(function: Function, name: str = "self") -> Class | None:
    """The class whose instance, or which itself, a name stands for in one of its methods, or a function in one."""
    while function.outer is not None:
        function = function.outer
    if function.owner is None or name in ("self", "cls"):
        return function.owner
    first = [*function.node.args.posonlyargs, *function.node.args.args][:1]
    return function.owner if first and name == first[0].arg else None


def _is_super(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "super"
