"""GF502: a NumPy number kept in a module."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._lengths import values_of
from ._numpy import NumpyNames

_LAYERS = ("torch.nn.", "torch.nn.modules.")


class NumpyNumberInModule(Rule):
    """What it does:
        Makes the NumPy numbers that a module's class keeps Python's: the arguments of the layers it builds, and the
        attributes that the break is about.

    Why it breaks the graph:
        Dynamo takes a NumPy scalar for a tensor. As a stride, size, index or condition its value has to be known while
        the graph is built: the backend refuses (GB0219) or fails, or Dynamo does (GB0059 in `range`, GB0170 in a
        condition, GB0033 as a number).

    Example:
        self.down = nn.Conv1d(64, 64, u * 2, u)
        self.down = nn.Conv1d(64, 64, int(u * 2), int(u))

    Safety:
        Proven. The number is the same; only its type is Python's. Arithmetic on it may round or overflow in another
        way than NumPy's, which the run compares.
    """

    code, name = "GF502", "numpy-number-in-module"
    title = "keep Python's numbers in the module, not NumPy's"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0219", "GB0059", "GB0170", "GB0033", "GB0124"})
    failures = ("aten._local_scalar_dense",)

    def rewrite(self, site: Site) -> Rewrite | None:
        place: Site | None = site
        while place is not None:
            owner = next((one for one in place.module.parents(place.node) if isinstance(one, ast.ClassDef)), None)
            found = list(_numbers(place, owner)) if owner is not None else []
            if found:
                return place.replace_each([(old, template, {"old": old}) for old, template in found])
            place = place.around
        return None

    cases = (
        Rewrites(
            before="""
                import numpy as np
                import torch
                from torch import nn

                class Down(nn.Module):
                    def __init__(self, rates):
                        super().__init__()
                        self.layers = nn.ModuleList()
                        totals = np.cumprod(rates)
                        for i, (u, k) in enumerate(zip(totals[::-1], rates)):
                            self.layers.append(nn.Conv1d(2, 2, u * 2, u, padding=u // 2))

                    def forward(self, x):
                        for layer in self.layers:
                            x = layer(x)
                        return x * 2

                f = Down([2, 2])
            """,
            after="""
                import numpy as np
                import torch
                from torch import nn

                class Down(nn.Module):
                    def __init__(self, rates):
                        super().__init__()
                        self.layers = nn.ModuleList()
                        totals = np.cumprod(rates)
                        for i, (u, k) in enumerate(zip(totals[::-1], rates)):
                            self.layers.append(nn.Conv1d(2, 2, int(u * 2), int(u), padding=int(u // 2)))

                    def forward(self, x):
                        for layer in self.layers:
                            x = layer(x)
                        return x * 2

                f = Down([2, 2])
            """,
            calls=("f(torch.ones(1, 2, 32))", "f(torch.ones(1, 2, 48))"),
        ),
        Rewrites(
            before="""
                import numpy
                import torch

                class Frames(torch.nn.Module):
                    def __init__(self, *, factors: tuple[int, ...] = (2, 3)):
                        super().__init__()
                        self.hop: int = numpy.prod(factors)  # samples a frame
                        self.scale = 0.5

                    def forward(self, x):
                        x = x[:, : self.hop] * self.scale
                        return x.cumsum(-1)

                f = Frames()
            """,
            after="""
                import numpy
                import torch

                class Frames(torch.nn.Module):
                    def __init__(self, *, factors: tuple[int, ...] = (2, 3)):
                        super().__init__()
                        self.hop: int = numpy.prod(factors).item()  # samples a frame
                        self.scale = 0.5

                    def forward(self, x):
                        x = x[:, : self.hop] * self.scale
                        return x.cumsum(-1)

                f = Frames()
            """,
            calls=("f(torch.ones(2, 8))", "f(torch.ones(3, 9))"),
        ),
        Rewrites(
            before="""
                import numpy as np
                from torch import nn

                class Stack(nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        depth = np.log2(size).astype(int)
                        self.depth = depth + 1
                        self.proj = nn.Linear(4, 4)

                    def forward(self, x):
                        for _ in range(self.depth):
                            x = self.proj(x)
                        return x

                f = Stack(4)
            """,
            after="""
                import numpy as np
                from torch import nn

                class Stack(nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        depth = np.log2(size).astype(int)
                        self.depth = (depth + 1).item()
                        self.proj = nn.Linear(4, 4)

                    def forward(self, x):
                        for _ in range(self.depth):
                            x = self.proj(x)
                        return x

                f = Stack(4)
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                import math

                import numpy as np
                import torch

                class Codec(torch.nn.Module):
                    def __init__(self, rates=(2, 3)):
                        super().__init__()
                        self.hop_length = np.prod(rates)

                    def forward(self, audio):
                        length = audio.shape[-1]
                        pad_to = self.hop_length * 2
                        right = math.ceil(length / pad_to) * pad_to - length
                        return torch.nn.functional.pad(audio, (0, right)) * 2

                f = Codec()
            """,
            after="""
                import math

                import numpy as np
                import torch

                class Codec(torch.nn.Module):
                    def __init__(self, rates=(2, 3)):
                        super().__init__()
                        self.hop_length = np.prod(rates).item()

                    def forward(self, audio):
                        length = audio.shape[-1]
                        pad_to = self.hop_length * 2
                        right = math.ceil(length / pad_to) * pad_to - length
                        return torch.nn.functional.pad(audio, (0, right)) * 2

                f = Codec()
            """,
            calls=("f(torch.ones(1, 20))", "f(torch.ones(1, 31))"),
        ),
        Leaves(
            source="""
                import numpy as np
                import torch

                class Scale(torch.nn.Module):
                    def __init__(self, sizes):
                        super().__init__()
                        self.width = int(np.prod(sizes))
                        self.gain = np.float32(2)

                    def forward(self, x):
                        return x[:, : self.width] * self.gain

                f = Scale([2, 2])
            """,
            calls=("f(torch.ones(2, 8))", "f(torch.ones(3, 8))"),
        ),
        Leaves(
            source="""
                import torch

                class Count(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.count = torch.tensor(2)

                    def forward(self, x):
                        for _ in range(self.count):
                            x = x + 1
                        return x

                f = Count()
            """,
            calls=("f(torch.ones(2, 8))",),
        ),
    )


def _numbers(site: Site, owner: ast.ClassDef) -> Iterator[tuple[ast.expr, str]]:
    """The expressions in the class that give a layer or a named attribute a NumPy number, and what to put there."""
    assert site.break_ is not None
    about = _text(site.module, site.node) + site.break_.explanation
    of_backend = site.break_.id in ("GB0219", None)  # the operation of a layer; else an attribute has to be named
    for function in owner.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        names = NumpyNames(site.module, function)
        for node in ast.walk(function):
            if of_backend and isinstance(node, ast.Call) and _is_layer(site.module, node):
                for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                    yield from ((one, "int({old})") for one in _parts(value) if names.holds(one))
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and names.holds(node.value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(one, ast.Attribute) and _names(about, one) for one in targets):
                    yield node.value, "{old}.item()"


def _text(module: Module, node: ast.AST, depth: int = 3) -> str:
    """The text of an expression, and of what the names in it were given."""
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name) and depth)
    return module.segment(node) + "".join(
        _text(module, one, depth - 1) for name in names for one in values_of(module, name)
    )


def _is_layer(module: Module, call: ast.Call) -> bool:
    meaning = module.analysis.meaning(call.func)
    return meaning.startswith(_LAYERS) and meaning.rpartition(".")[2][:1].isupper()


def _parts(value: ast.expr) -> Iterator[ast.expr]:
    """The numbers of an argument: itself, or those of a tuple or list."""
    if isinstance(value, ast.Tuple | ast.List):
        for one in value.elts:
            yield from _parts(one)
    else:
        yield value


def _names(about: str, attribute: ast.Attribute) -> bool:
    """Whether the break's text or line names an attribute of self (`self.hop`, `l_self_hop_` in a graph)."""
    own = isinstance(attribute.value, ast.Name) and attribute.value.id == "self"
    return own and (f"self.{attribute.attr}" in about or f"_{attribute.attr}_" in about)
