"""GF113: a buffer that holds a number, read to compute sizes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module

from ._dims import changes_in_place
from ._kept_numbers import Kept, KeptNumbers, kept_numbers


class NumberInBuffer(Rule):
    """What it does:
        Keeps a Python number beside a buffer that was made of one, and computes with it where the buffer was read.

    Why it breaks the graph:
        What was a constant is the content of a tensor; a size, a padding or a branch needs its value, which Dynamo does
        not know while it traces (GB0170, GB0124, GB0219).

    Example:
        self.register_buffer("stride", torch.tensor(stride), persistent=False)
        ...
        frames = torch.ceil(length / self.stride).to(torch.int64)

        self.stride_number = stride
        self.register_buffer("stride", torch.tensor(stride), persistent=False)
        ...
        frames = math.ceil(length / self.stride_number)

    Safety:
        Proven. Only for buffers that no checkpoint holds (`persistent=False`) and tensors that are plain attributes,
        and that no method changes: the number is the buffer's own for good. Python computes in double precision.
    """

    code, name = "GF113", "number-in-buffer"
    title = "compute with the number that the buffer was made of"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0219", "GB0033", "GB0059"})

    def rewrite(self, site: Site) -> Rewrite | None:
        place: Site | None = site
        for _ in range(4):  # a number may have been handed on
            if place is None:
                return None
            owner = next((one for one in place.module.parents(place.node) if isinstance(one, ast.ClassDef)), None)
            if owner is not None and (found := _in_class(place, owner)) is not None:
                return found
            place = place.around
        return None

    cases = (
        Rewrites(
            before="""
                import torch

                class Pad(torch.nn.Module):
                    def __init__(self, size, stride=2):
                        super().__init__()
                        stride = torch.tensor(stride, dtype=torch.int64)
                        # with its own width
                        size = torch.tensor(size - 1, dtype=torch.int64)
                        self.register_buffer("stride", stride, persistent=False)
                        self.register_buffer("size", size, persistent=False)
                        self.register_buffer("rest", size - stride, persistent=False)

                    def missing(self, x):
                        length = x.shape[-1]
                        frames = (length - self.size + self.rest) / self.stride + 1
                        frames = torch.ceil(frames).to(torch.int64) - 1
                        return frames * self.stride + self.size - self.rest - length

                    def forward(self, x):
                        extra = self.missing(x)
                        if extra >= 0:
                            x = torch.nn.functional.pad(x, (self.rest, extra))
                        return x * 2

                f = Pad(4)
            """,
            after="""
                import math

                import torch

                class Pad(torch.nn.Module):
                    def __init__(self, size, stride=2):
                        super().__init__()
                        self.stride_number = stride
                        stride = torch.tensor(stride, dtype=torch.int64)
                        # with its own width
                        self.size_number = size - 1
                        size = torch.tensor(size - 1, dtype=torch.int64)
                        self.register_buffer("stride", stride, persistent=False)
                        self.register_buffer("size", size, persistent=False)
                        self.rest_number = self.size_number - self.stride_number
                        self.register_buffer("rest", size - stride, persistent=False)

                    def missing(self, x):
                        length = x.shape[-1]
                        frames = (length - self.size_number + self.rest_number) / self.stride_number + 1
                        frames = math.ceil(frames) - 1
                        return frames * self.stride_number + self.size_number - self.rest_number - length

                    def forward(self, x):
                        extra = self.missing(x)
                        if extra >= 0:
                            x = torch.nn.functional.pad(x, (self.rest_number, extra))
                        return x * 2

                f = Pad(4)
            """,
            calls=("f(torch.ones(2, 5))", "f(torch.ones(2, 8))"),
        ),
        Rewrites(
            before="""
                import torch

                class Crop(torch.nn.Module):
                    def __init__(self, config):
                        super().__init__()
                        self.register_buffer("width", torch.tensor(config["width"]), persistent=False)

                    def forward(self, x):
                        return x[:, : self.width.item()] * 2

                f = Crop({"width": 3})
            """,
            after="""
                import torch

                class Crop(torch.nn.Module):
                    def __init__(self, config):
                        super().__init__()
                        self.width_number = config["width"]
                        self.register_buffer("width", torch.tensor(config["width"]), persistent=False)

                    def forward(self, x):
                        return x[:, : self.width_number] * 2

                f = Crop({"width": 3})
            """,
            calls=("f(torch.ones(2, 5))", "f(torch.ones(2, 8))"),
        ),
        Rewrites(
            before="""
                import torch

                class Repeat(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.times = torch.tensor(3)

                    def forward(self, x):
                        for _ in range(int(self.times)):
                            x = x + 1
                        return x

                f = Repeat()
            """,
            after="""
                import torch

                class Repeat(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.times_number = 3
                        self.times = torch.tensor(3)

                    def forward(self, x):
                        for _ in range(int(self.times_number)):
                            x = x + 1
                        return x

                f = Repeat()
            """,
            calls=("f(torch.ones(2, 5))",),
        ),
        Leaves(
            source="""
                import torch

                class Crop(torch.nn.Module):
                    def __init__(self, width=3):
                        super().__init__()
                        self.register_buffer("width", torch.tensor(width))  # a checkpoint may hold another

                    def forward(self, x):
                        return x[:, : self.width.item()] * 2

                f = Crop()
            """,
            calls=("f(torch.ones(2, 5))",),
        ),
        Leaves(
            source="""
                import torch

                class Crop(torch.nn.Module):
                    def __init__(self, width=3):
                        super().__init__()
                        self.register_buffer("width", torch.tensor(width), persistent=False)

                    def grow(self):
                        self.width += 1

                    def forward(self, x):
                        return x[:, : self.width.item()] * 2

                f = Crop()
            """,
            calls=("f(torch.ones(2, 5))",),
        ),
    )


def _in_class(site: Site, owner: ast.ClassDef) -> Rewrite | None:
    """The rewrite of all methods of a class that holds numbers in buffers."""
    module = site.module
    kept = {name: one for name, one in kept_numbers(module, owner).items() if not _changes(module, owner, name)}
    kept = {name: one for name, one in kept.items() if one.needs <= set(kept)}
    numbers = KeptNumbers(module, owner, kept)
    changes = [change for method in _methods(owner) for change in numbers.changes(method)]
    used = _needed(kept, numbers.used)
    if not changes:
        return None
    made = [_above(site, one) for name, one in kept.items() if name in used]
    return site.together(*made, site.replace_each(changes))


def _above(site: Site, one: Kept) -> Rewrite | None:
    return site.before(one.statement, f"self.{one.name}_number = {one.template}", **one.parts)


def _needed(kept: Mapping[str, Kept], used: set[str]) -> set[str]:
    """The numbers used, and those that they are computed from."""
    while more := {need for name in used for need in kept[name].needs} - used:
        used = used | more
    return used


def _methods(owner: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (one for one in owner.body if isinstance(one, FUNCTIONS) and one.name != "__init__")


def _changes(module: Module, owner: ast.ClassDef, name: str) -> bool:
    """Whether a method stores into `self.name`, or the class has another attribute of the number's name."""
    for method in _methods(owner):
        for one in ast.walk(method):
            stored = isinstance(one, ast.Attribute) and one.attr == name and not isinstance(one.ctx, ast.Load)
            if stored or (isinstance(one, ast.Attribute) and one.attr == f"{name}_number"):
                return True
        if changes_in_place(method, f"self.{name}"):
            return True
    return False
