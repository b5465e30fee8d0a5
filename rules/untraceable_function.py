"""GF610: a function on the host that becomes one operation of the graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_PLAIN = frozenset({"int", "float", "bool", "str"})


class UntraceableFunction(Rule):
    """What it does:
        Makes a function of the module, whose arguments and result are annotated, a custom operation: Dynamo calls it
        in the graph and does not look inside. Its result is said to be like its first tensor.

    Why it breaks the graph:
        The function needs the values of its tensors in Python (a library of C code, a loop that ends by a value), which
        a graph does not hold.

    Example:
        def smooth(x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(medfilt(x.numpy()))

        smooth = torch.library.custom_op("audio::smooth", smooth, mutates_args="unknown")
        smooth.register_fake(lambda x, *_, **__: torch.empty_like(x))  # and a check that it is so

    Safety:
        Unsafe, and only with a proof. One graph goes around the function, and the device is still waited for inside it.
        It has no gradient any more, in eager code neither: `backward` through it raises. A result that is not like the
        first tensor raises (another size would let compiled code read what is not its own); the result is a copy.
    """

    code, name = "GF610", "untraceable-function"
    title = "make a function on the host one operation of the graph"
    safety = Safety.UNSAFE
    repairs = frozenset("GB0007 GB0033 GB0036 GB0059 GB0109 GB0116 GB0124 GB0156 GB0170 GB0208 GB0246 GB0294".split())

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        place: Site | None = site
        while place is not None:
            function = place.module.function_of(place.node)
            if isinstance(function, ast.FunctionDef) and (known := _up_to_tensor(place.module, function)):
                yield _as_operation(place, function, known)
                return
            place = place.around

    cases = (
        Rewrites(
            before="""
                import torch

                def above(x: torch.Tensor, least: float = 0.0) -> torch.Tensor:
                    found = [value for value in x.tolist() if value > least]
                    return torch.full_like(x, len(found))

                def f(x):
                    y = torch.sin(x)
                    return above(y) + 1
            """,
            after="""
                import functools

                import torch

                def above(x: torch.Tensor, least: float = 0.0) -> torch.Tensor:
                    found = [value for value in x.tolist() if value > least]
                    return torch.full_like(x, len(found))


                @functools.wraps(above)
                def _checked_above(x, *args, **kwargs):
                    result = _checked_above.__wrapped__(x, *args, **kwargs)
                    if (result.shape, result.dtype, result.device) != (x.shape, x.dtype, x.device):
                        raise RuntimeError("graphfix: the result of above is not like x")
                    return result.clone(memory_format=torch.contiguous_format)


                above = torch.library.custom_op("untraceable_function_1::above", _checked_above, mutates_args="unknown")
                above.register_fake(lambda x, *_, **__: torch.empty_like(x).contiguous())

                def f(x):
                    y = torch.sin(x)
                    return above(y) + 1
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import bisect
                from torch import Tensor, nn, full_like

                def place(bound: float, values: Tensor) -> Tensor:
                    # sorted ones
                    return full_like(values, bisect.bisect(values.tolist(), bound))

                class Layer(nn.Module):
                    def forward(self, x, *, bound=0.5):
                        return place(bound, x.cumsum(0)) * 2

                f = Layer()
            """,
            after="""
                import bisect
                import functools
                import torch
                from torch import Tensor, nn, full_like

                def place(bound: float, values: Tensor) -> Tensor:
                    # sorted ones
                    return full_like(values, bisect.bisect(values.tolist(), bound))


                @functools.wraps(place)
                def _checked_place(bound, values, *args, **kwargs):
                    result = _checked_place.__wrapped__(bound, values, *args, **kwargs)
                    if (result.shape, result.dtype, result.device) != (values.shape, values.dtype, values.device):
                        raise RuntimeError("graphfix: the result of place is not like values")
                    return result.clone(memory_format=torch.contiguous_format)


                place = torch.library.custom_op("untraceable_function_2::place", _checked_place, mutates_args="unknown")
                place.register_fake(lambda bound, values, *_, **__: torch.empty_like(values).contiguous())

                class Layer(nn.Module):
                    def forward(self, x, *, bound=0.5):
                        return place(bound, x.cumsum(0)) * 2

                f = Layer()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), bound=2.5)"),
        ),
        Rewrites(
            before="""
                import torch

                def half(x: torch.Tensor) -> torch.Tensor:
                    y = x.clone()
                    while y.sum() > 1:
                        y = y / 2
                    return y

                def f(x, *, times: int = 1):
                    for _ in range(times):
                        x = half(x.cos() + 1)
                    return x
            """,
            after="""
                import functools

                import torch

                def half(x: torch.Tensor) -> torch.Tensor:
                    y = x.clone()
                    while y.sum() > 1:
                        y = y / 2
                    return y


                @functools.wraps(half)
                def _checked_half(x, *args, **kwargs):
                    result = _checked_half.__wrapped__(x, *args, **kwargs)
                    if (result.shape, result.dtype, result.device) != (x.shape, x.dtype, x.device):
                        raise RuntimeError("graphfix: the result of half is not like x")
                    return result.clone(memory_format=torch.contiguous_format)


                half = torch.library.custom_op("untraceable_function_3::half", _checked_half, mutates_args="unknown")
                half.register_fake(lambda x, *_, **__: torch.empty_like(x).contiguous())

                def f(x, *, times: int = 1):
                    for _ in range(times):
                        x = half(x.cos() + 1)
                    return x
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), times=2)"),
        ),
        Leaves(
            source="""
                import torch

                def count(x: torch.Tensor) -> int:
                    return sum(value > 0 for value in x.tolist())

                def f(x):
                    return x * count(x)
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                class Layer(torch.nn.Module):
                    def forward(self, x: torch.Tensor) -> torch.Tensor:
                        return x * x.max().item()

                f = Layer()
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _up_to_tensor(module: Module, function: ast.FunctionDef) -> list[str]:
    """The first parameters up to a tensor; none where the function is no candidate."""
    given = function.args
    if function not in module.tree.body or function.decorator_list or given.vararg or given.kwarg:
        return []
    if not _is_tensor(module, function.returns) or any(isinstance(n, ast.Yield) for n in ast.walk(function)):
        return []
    names = []
    arguments = [*given.posonlyargs, *given.args]
    for argument in (*arguments, *given.kwonlyargs):
        if not _is_tensor(module, argument.annotation) and not _is_plain(argument.annotation):
            return []
    for argument in arguments:
        names.append(argument.arg)
        if _is_tensor(module, argument.annotation):
            return names
    return []


def _is_tensor(module: Module, annotation: ast.expr | None) -> bool:
    return annotation is not None and module.analysis.meaning(annotation) == "torch.Tensor"


def _is_plain(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id in _PLAIN


def _as_operation(site: Site, function: ast.FunctionDef, known: list[str]) -> Rewrite | None:
    name, space = function.name, "".join(c if c.isalnum() else "_" for c in Path(site.module.path).stem)
    template = _TEMPLATE.format(name=name, space=space, like=known[-1], known=", ".join(known))
    return site.replace(function, template, function=function)


_TEMPLATE = """
{{function}}


@{{functools}}.wraps({name})
def _checked_{name}({known}, *args, **kwargs):
    result = _checked_{name}.__wrapped__({known}, *args, **kwargs)
    if (result.shape, result.dtype, result.device) != ({like}.shape, {like}.dtype, {like}.device):
        raise RuntimeError("graphfix: the result of {name} is not like {like}")
    return result.clone(memory_format={{torch}}.contiguous_format)


{name} = {{torch}}.library.custom_op("{space}::{name}", _checked_{name}, mutates_args="unknown")
{name}.register_fake(lambda {known}, *_, **__: {{torch}}.empty_like({like}).contiguous())
"""
