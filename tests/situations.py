"""The completeness table: small real functions, their graph breaks marked in the text, and what `explain` sees of them.

A break stands between ⟦ and ⟧, the span that graphfix must report; ⟦? marks one that lies behind a skipped frame, so
that only a second look shows it. Measured on torch 2.13.0.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADER = "import torch\n\n"


@dataclass(frozen=True, slots=True)
class Situation:
    """`source` is a file that defines `f`; where it begins with a line end, HEADER stands above it.

    `ids` are those of the marks in order, a single one stands for all; `explain` counts the marks that
    `torch._dynamo.explain(f)(*args)` reports for the first call. `calls` is Python, the argument tuples of the calls.
    `alone` gives the situation a process of its own.
    """

    name: str
    source: str
    ids: str = "GB0124"
    explain: int = 1
    calls: str = "[(torch.arange(6.0),)]"
    encoding: str = "utf-8"
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked place: lines from 1, columns in characters from 0, as in graphfix's JSON."""

    line: int
    column: int
    end_line: int
    end_column: int
    id: str | None
    hidden: bool


def unmarked(situation: Situation) -> tuple[str, list[Mark]]:
    """The situation's source without its marks, and the marks in the order in which they open."""
    source = situation.source
    text = ""
    begins: list[tuple[int, int]] = []
    ends: dict[int, tuple[int, int]] = {}
    hidden: set[int] = set()
    for piece in HEADER + source[1:] if source.startswith("\n") else source:
        here = (text.count("\n") + 1, len(text) - text.rfind("\n") - 1)
        if piece == "⟦":
            begins.append(here)
        elif piece == "⟧":
            ends[max(set(range(len(begins))) - ends.keys())] = here
        elif piece == "?" and begins and begins[-1] == here:
            hidden.add(len(begins) - 1)
        else:
            text += piece
    ids = situation.ids.split()
    if len(ids) == 1:
        ids *= len(begins)
    rows = zip(begins, sorted(ends.items()), ids, strict=True)
    return text, [Mark(*begin, *end, id, number in hidden) for begin, (number, end), id in rows]


SITUATIONS = (
    Situation(
        "before the first op",
        """
def f(x):
    n = ⟦x.sum().item()⟧
    return x + n
""",
    ),
    Situation(
        "several in sequence",
        """
def f(x):
    y = x * 2
    y = y + ⟦y.sum().item()⟧
    ⟦print("half way")⟧
    y = y * ⟦y.max().item()⟧
    return y + 1
""",
        ids="GB0124 GB0059 GB0124",
        explain=3,
    ),
    Situation(
        "in a for loop",
        """
def f(x):
    for _ in range(2):
        x = x + ⟦x.sum().item()⟧
    return x
""",
        explain=0,
    ),
    Situation(
        "several in and behind a loop",
        """
def f(x):
    for _ in range(2):
        x = x + ⟦x.sum().item()⟧
        ⟦?print("step")⟧
    if ⟦?x.sum() > 0⟧:
        x = x * 2
    return x * ⟦?x.max().item()⟧
""",
        ids="GB0124 GB0059 GB0170 GB0124",
        explain=0,
    ),
    Situation(
        "in nested loops",
        """
def f(x):
    for i in range(2):
        x = x + i
        for j in range(2):
            x = x * ⟦x[j].item()⟧
        x = x - ⟦?x.mean().item()⟧
    return x
""",
        explain=0,
    ),
    Situation(
        "in a while loop",
        """
def f(x):
    while x.shape[0] > 4:
        x = x[1:] * ⟦x[0].item()⟧
    return x
""",
        explain=0,
    ),
    Situation(
        "a while loop on a tensor",
        """
def f(x):
    while ⟦x.sum() < 100⟧:
        x = x * 2
    return x
""",
        ids="GB0170",
    ),
    Situation(
        "return inside a loop",
        """
def f(x):
    for step in range(3):
        x = x * 2
        if ⟦x.sum() > 20⟧:
            return x + step
    return x
""",
        ids="GB0170",
    ),
    Situation(
        "in an iterator's own code",
        """
class Progress:
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        for item in self.items:
            ⟦print("at", item)⟧
            yield item

def f(x):
    for n in Progress(range(3)):
        x = x + n
    return x + ⟦?x.max().item()⟧
""",
        ids="GB0059 GB0124",
        explain=0,
    ),
    Situation(
        "in try, except and finally",
        """
def f(x):
    try:
        x = x + ⟦x.sum().item()⟧
        raise ValueError
    except ValueError:
        x = x * ⟦?x.max().item()⟧
    finally:
        x = x - ⟦?x.min().item()⟧
    return x
""",
        explain=0,
    ),
    Situation(
        "behind a try",
        """
def f(x):
    try:
        x = x + ⟦x.sum().item()⟧
    finally:
        x = x * 2
    ⟦?print("done")⟧
    return x + 1
""",
        ids="GB0124 GB0059",
        explain=0,
    ),
    Situation(
        "the user catches what comes",
        """
def helper(x):
    if ⟦x.sum() > 0⟧:
        raise RuntimeError("positive")
    return x

def f(x):
    try:
        return helper(x * 2)
    except Exception:
        return x + 1
""",
        ids="GB0170",
        explain=1,
    ),
    Situation(
        "under no_grad",
        """
def f(x):
    with torch.no_grad():
        x = x + ⟦x.sum().item()⟧
        x = x * ⟦x.max().item()⟧
    return x * 2
""",
        explain=2,
    ),
    Situation(
        "in a context manager of one's own",
        """
class Scaled:
    def __enter__(self):
        return 2

    def __exit__(self, *args):
        return None

def f(x):
    with Scaled() as factor:
        x = factor * x + ⟦x.sum().item()⟧
    return x * ⟦?x.max().item()⟧
""",
        explain=0,
    ),
    Situation(
        "in a contextlib manager",
        """
import contextlib

@contextlib.contextmanager
def scaled():
    yield 2

def f(x):
    with scaled() as factor:
        x = factor * x + ⟦x.sum().item()⟧
    return x * ⟦?x.max().item()⟧
""",
        explain=0,
    ),
    Situation(
        "in a manager's own enter and exit",
        """
import time

class Timer:
    def __enter__(self):
        self.start = ⟦time.perf_counter()⟧
        return self

    def __exit__(self, *args):
        self.took = ⟦?time.perf_counter()⟧ - self.start

def f(x):
    with Timer():
        x = x * 2
    return x + ⟦?x.sum().item()⟧
""",
        ids="GB0007 GB0007 GB0124",
        explain=0,
    ),
    Situation(
        "in a generator expression",
        """
def f(x):
    return sum(v + ⟦v.sum().item()⟧ for v in (x, x))
""",
        explain=0,
    ),
    Situation(
        "in a generator function",
        """
def doubled(x):
    for _ in range(2):
        x = x * ⟦x.max().item()⟧
        yield x

def f(x):
    for y in doubled(x):
        x = x + y
    return x + ⟦?x.sum().item()⟧
""",
        explain=0,
    ),
    Situation(
        "in comprehensions",
        """
def f(x):
    rows = [v * ⟦v.sum().item()⟧ for v in (x, x)]
    named = {k: v - ⟦v.max().item()⟧ for k, v in enumerate(rows)}
    return named[0] + named[1]
""",
        explain=0,
    ),
    Situation(
        "in a lambda",
        """
def f(x):
    scale = lambda v: v * ⟦v.sum().item()⟧
    return scale(x + 1) + 1
""",
    ),
    Situation(
        "in a nested function",
        """
def f(x):
    offset = 1

    def inner(v):
        return v + ⟦v.sum().item()⟧ + offset

    return inner(x * 2) * 2
""",
    ),
    Situation(
        "in a function that is called twice",
        """
def helper(v):
    return v * ⟦v.max().item()⟧

def f(x):
    y = helper(x + 1)
    return helper(y) + 1
""",
    ),
    Situation(
        "in a recursive function",
        """
def halve(x, depth):
    if depth == 0:
        return x * ⟦x.sum().item()⟧
    return halve(x / 2, depth - 1) + 1

def f(x):
    return halve(x, 2) * 2
""",
    ),
    Situation(
        "in a decorator's wrapper and in the body",
        """
import functools

def checked(function):
    @functools.wraps(function)
    def wrapper(x):
        if ⟦x.isnan().any()⟧:
            return x
        return function(x + 1) * 2
    return wrapper

@checked
def f(x):
    y = x * 2
    return y + ⟦y.sum().item()⟧
""",
        ids="GB0170 GB0124",
        explain=2,
    ),
    Situation(
        "in a partial",
        """
import functools

def scaled(factor, x):
    return x * ⟦(x * factor).sum().item()⟧

f = functools.partial(scaled, 2)
""",
    ),
    Situation(
        "in method, property and __call__",
        """
class Scale:
    def __init__(self, x):
        self.x = x

    @property
    def peak(self):
        return ⟦self.x.max().item()⟧

    def shift(self, y):
        return y - ⟦self.x.min().item()⟧

    def __call__(self, y):
        return y * ⟦self.x.mean().item()⟧

def f(x):
    scale = Scale(x + 1)
    y = scale(x) * scale.peak
    return scale.shift(y) + 1
""",
        explain=2,
    ),
    Situation(
        "in a descriptor",
        """
class Peak:
    def __get__(self, owner, kind):
        return ⟦owner.x.max().item()⟧

class Scale:
    peak = Peak()

    def __init__(self, x):
        self.x = x

def f(x):
    y = x + 1
    y = y * Scale(y).peak
    return y + ⟦?y.min().item()⟧
""",
        explain=0,
    ),
    Situation(
        "in __getattr__",
        """
class Lazy:
    def __init__(self, x):
        self.x = x

    def __getattr__(self, name):
        return ⟦self.x.min().item()⟧

def f(x):
    y = x + 1
    y = y * Lazy(y).anything
    return y + ⟦?y.max().item()⟧
""",
        explain=0,
    ),
    Situation(
        "in an operator of one's own",
        """
class Shift:
    def __init__(self, x):
        self.x = x

    def __add__(self, other):
        return other + ⟦self.x.mean().item()⟧

def f(x):
    y = x * 2
    y = y * (Shift(y) + 1)
    return y + ⟦?y.max().item()⟧
""",
        explain=0,
    ),
    Situation(
        "in __post_init__",
        """
from dataclasses import dataclass

@dataclass
class Scaled:
    x: torch.Tensor

    def __post_init__(self):
        self.peak = ⟦self.x.max().item()⟧

def f(x):
    scaled = Scaled(x * 2)
    return scaled.x / scaled.peak + 1
""",
    ),
    Situation(
        "in a layer of a loop over layers",
        """
class Layer(torch.nn.Module):
    def forward(self, x):
        return x / ⟦x.abs().max().item()⟧ + 1

class Stack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Layer(), Layer()])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * ⟦?x.sum().item()⟧

f = Stack()
""",
        explain=1,
    ),
    Situation(
        "in an autograd function",
        """
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * ⟦x.max().item()⟧

    @staticmethod
    def backward(ctx, gradient):
        return gradient

def f(x):
    return Scale.apply(x + 1) * 2
""",
        calls="[(torch.arange(6.0, requires_grad=True),)]",
    ),
    Situation(
        "in a checkpointed block",
        """
from torch.utils.checkpoint import checkpoint

def block(x):
    return x * ⟦x.max().item()⟧

def f(x):
    return checkpoint(block, x + 1, use_reentrant=False) * 2
""",
        calls="[(torch.arange(6.0, requires_grad=True),)]",
    ),
    Situation(
        "already compiled by its author",
        """
@torch.compile(backend="eager")
def f(x):
    y = x * 2
    return y + ⟦y.sum().item()⟧
""",
    ),
    Situation(
        "in __torch_function__",
        """
class Loud(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        ⟦print("called")⟧
        return super().__torch_function__(func, types, args, kwargs or {})

def f(x):
    return torch.sin(x) + 1
""",
        ids="GB0059",
        explain=0,
        calls="[(torch.arange(6.0).as_subclass(Loud),)]",
    ),
    Situation(
        "behind super()",
        """
class Base(torch.nn.Module):
    def forward(self, x):
        return x * ⟦x.max().item()⟧

class Child(Base):
    def forward(self, x):
        y = super().forward(x + 1)
        return y + ⟦y.sum().item()⟧

f = Child()
""",
        explain=2,
    ),
    Situation(
        "in a child of Sequential",
        """
class Clamp(torch.nn.Module):
    def forward(self, x):
        return x.clamp(max=⟦x.mean().item()⟧)

f = torch.nn.Sequential(torch.nn.Linear(6, 6), Clamp(), torch.nn.ReLU())
""",
    ),
    Situation(
        "in a forward hook",
        """
def note(module, args, output):
    module.last = ⟦output.sum().item()⟧

f = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.ReLU())
f[0].register_forward_hook(note)
""",
    ),
    Situation(
        "a helper that is not to be compiled",
        """
@torch.compiler.disable
def look_up(x):
    return x * x.sum().item()

def f(x):
    y = ⟦look_up(x + 1)⟧
    return y * 2
""",
        ids="GB0098",
    ),
    Situation(
        "a chain over several lines",
        """
def f(x):
    y = (
        ⟦x.abs()
        .sum()
        .item()⟧
    )
    return x + y
""",
    ),
    Situation(
        "arguments over several lines",
        """
def f(x):
    y = x * 2
    return y.clamp(
        min=⟦torch.minimum(
            x.min(),
            y.min(),
        ).item()⟧,
        max=⟦y.max(
        ).item()⟧,
    )
""",
        explain=2,
    ),
    Situation(
        "behind text that is not ASCII",
        """
def f(x):
    größe, 名 = "äöü🙂", ⟦x.sum().item()⟧; é = ⟦x.max().item()⟧
    return x + 名 + é + len(größe)
""",
        explain=2,
    ),
    Situation(
        "tabs and CRLF",
        "import torch\r\n\r\ndef f(x):\r\n\tif x.ndim:\r\n"
        "\t\tx = x +\t⟦x.sum().item()⟧\r\n\treturn x * ⟦x.max().item()⟧\r\n",
        explain=2,
    ),
    Situation(
        "a first line behind a byte order mark",
        "import torch; f = lambda x: x + ⟦x.sum().item()⟧\n",
        encoding="utf-8-sig",
    ),
    Situation(
        "a file in Latin-1",
        "# -*- coding: latin-1 -*-\nimport torch\n\ndef f(x):\n    é = 'äöü'; return x + ⟦x.sum().item()⟧ + len(é)\n",
        encoding="latin-1",
    ),
    Situation(
        "behind a string over several lines",
        """
def f(x):
    name = len('''ä
    ö''') + ⟦x.sum().item()⟧ + \\
        ⟦x.max().item()⟧
    return x + name
""",
        explain=2,
    ),
    Situation(
        "twice the same on a line",
        """
def f(x):
    y = x + 1
    return ⟦y.sum().item()⟧ * y + ⟦y.sum().item()⟧ + 1
""",
        explain=2,
    ),
    Situation(
        "one inside the other",
        """
def f(x):
    return x * ⟦(x + ⟦x.sum().item()⟧).max().item()⟧
""",
        explain=2,
    ),
    Situation(
        "in f-strings",
        """
def f(x):
    name = f"sum {⟦x.sum().item()⟧:.2f} {f'{⟦x.max().item()⟧}'}"
    return x + len(name)
""",
        explain=2,
    ),
    Situation(
        "in arguments, subscripts and assignments",
        """
def shift(x, *numbers, by):
    return x + numbers[0] + by

def f(x):
    y = shift(x, *[⟦x.sum().item()⟧], by=⟦x.min().item()⟧)
    y[0] += ⟦y.max().item()⟧
    z = y[⟦x[2].to(torch.int64).item()⟧ :]
    if (n := ⟦z.mean().item()⟧) and x.ndim:
        z = z + n
    return z + 1
""",
        explain=5,
    ),
    Situation(
        "match",
        """
def f(x):
    match ⟦x.argmax().item()⟧:
        case 0:
            return x + 1
        case n if ⟦x.sum() > n⟧:
            return x * ⟦x.max().item()⟧
    return x
""",
        ids="GB0124 GB0170 GB0124",
        explain=3,
    ),
    Situation(
        "branches on a tensor",
        """
def f(x, *, strict=None):
    y = x * 2
    if strict is not None:
        y = y + 1
    elif ⟦y.sum() > 100⟧:
        y = y - 1
    elif ⟦y.any()⟧:
        y = y + 2
    y = y * 2 if ⟦y.max() > 3⟧ else y
    if ⟦x.ndim and not y.isnan().any()⟧:
        y = y - 1
    if (
        ⟦y.isinf()
        .any()⟧
    ):
        y = y * 0
    flag = ⟦y.min() > 5 or y.max() > 6⟧
    if ⟦flag⟧:
        y = y / 2
    return y if not ⟦(0 < y.sum()) < 5⟧ else -y
""",
        ids="GB0170",
        explain=8,
    ),
    Situation(
        "a walrus in a while loop",
        """
def f(x):
    while (n := ⟦x.sum().item()⟧) < 100:
        x = x + n
    return x
""",
    ),
    Situation(
        "an assertion on a tensor",
        """
def f(x):
    y = x + 1
    assert ⟦y.min() > 0⟧, f"smallest {y.min()}"
    return y * 2
""",
        ids="GB0170",
    ),
    Situation(
        "an index that only aot_eager minds",
        """
def f(x, t):
    return ⟦x[t]⟧ + 1
""",
        ids="GB0219",
        explain=0,
        calls="[(torch.arange(6.0), torch.tensor(2))]",
    ),
    Situation(
        "shapes that depend on data",
        """
def f(x):
    y = x + 1
    small = ⟦y[y < 3]⟧
    places = ⟦torch.nonzero(x)⟧
    return small.sum() + places.sum()
""",
        ids="GB0036",
    ),
    Situation(
        "an index that depends on data",
        """
def f(x):
    best = (x * 2).argmax()
    return ⟦x[best]⟧ + 1
""",
        ids="GB0033",
    ),
    Situation(
        "lists and numbers from tensors",
        """
import copy
import math

def f(x):
    y = x + 1
    rows = ⟦y.tolist()⟧
    root = ⟦math.sqrt(y.sum())⟧
    twin = ⟦copy.deepcopy(y)⟧
    return twin + rows[0] + root
""",
        ids="GB0109 GB0033 GB4198",
        explain=2,
    ),
    Situation(
        "data of a fresh tensor",
        """
def f(x):
    y = torch.zeros(6)
    ⟦y.data⟧ = x * 2
    return y + 1
""",
        ids="GB0056",
    ),
    Situation(
        "the world outside",
        """
import logging
import random
import time
import warnings

def f(x):
    y = x + ⟦time.time()⟧
    ⟦warnings.warn("slow")⟧
    y = y * ⟦random.random()⟧
    ⟦⟦logging.getLogger("user")⟧.info("half way")⟧
    y = y - 1
    ⟦logging.info("done")⟧
    return y * 2
""",
        ids="GB0007 GB0007 GB0007 GB0291 GB6215 GB4841",
        explain=3,
    ),
    Situation(
        "a lock",
        """
import threading

LOCK = threading.Lock()

def f(x):
    y = x + 1
    with ⟦LOCK⟧:
        y = y * 2
    return y * ⟦?y.sum().item()⟧
""",
        ids="GB0142 GB0124",
        explain=0,
    ),
    Situation(
        "an iterable that cannot be traced",
        """
import array

NUMBERS = array.array("f", [1.0, 2.0])

def f(x):
    y = x + 1
    for n in ⟦NUMBERS⟧:
        y = y * n
    return y + ⟦?y.max().item()⟧
""",
        ids="GB0811 GB0124",
        explain=0,
    ),
    Situation(
        "only the second call's shape",
        """
def f(x):
    y = x * 2
    if x.shape[0] > 8:
        y = y - ⟦y.mean().item()⟧
    return y
""",
        calls="[(torch.arange(6.0),), (torch.arange(12.0),)]",
        explain=0,
    ),
    Situation(
        "text without a file",
        """
space = {}
exec("def helper(x):\\n    return x * x.sum().item()\\n", space)

def f(x):
    return ⟦space["helper"](x + 1)⟧ + 1
""",
    ),
    Situation(
        "behind a chain, after a break",
        """
def f(x):
    y = x + ⟦x.sum().item()⟧
    y = (
        y.abs()
        .sqrt()
        .sin()
    )
    ⟦print("Dynamo itself says two lines below")⟧
    return y + 1
""",
        ids="GB0124 GB0059",
    ),
    Situation(
        "a call over several lines",
        """
def f(x):
    y = x + 1
    ⟦print(
        "smallest",
        y.min(),
    )⟧
    return torch.where(
        x > 0,
        x * ⟦y.sum()
        .item()⟧,
        y,
    )
""",
        ids="GB0059 GB0124",
        explain=2,
    ),
    Situation(
        "f-strings over lines",
        """
def f(x):
    name = f'''ä {⟦x.sum().item()⟧}
      {⟦x.max().item()⟧:.2f} ö {⟦x.min().item()⟧}''' f"ä {⟦x.mean().item()⟧}"
    return x + len(name)
""",
        explain=4,
    ),
    Situation(
        "numbers by conversion",
        """
def f(x):
    y = x + 1
    a = ⟦int(y.sum())⟧
    y = y + ⟦float(y.max())⟧
    b = ⟦bool(y.any())⟧
    for _ in range(⟦int(x[1])⟧):
        y = y + a
    return y + b
""",
        ids="GB0124",
        explain=4,
    ),
    Situation(
        "in a key, a map and a condition of a comprehension",
        """
def f(x):
    rows = sorted([x, x + 1], key=lambda v: ⟦v.sum().item()⟧)
    rows = list(map(lambda v: v * ⟦v.max().item()⟧, rows))
    rows = [row for row in rows if ⟦row.sum() > 0⟧]
    return rows[0] + 1
""",
        ids="GB0124 GB0124 GB0170",
        explain=2,
    ),
    Situation(
        "in a contextlib manager's own code",
        """
import contextlib
import time

@contextlib.contextmanager
def timed():
    start = ⟦time.time()⟧
    yield
    print(start)

def f(x):
    with timed():
        x = x * ⟦?x.max().item()⟧
    return x + ⟦?x.sum().item()⟧
""",
        ids="GB0007 GB0124 GB0124",
        explain=0,
    ),
    Situation(
        "behind a contextlib manager's yield",
        """
import contextlib

@contextlib.contextmanager
def told():
    yield
    ⟦print("done")⟧

def f(x):
    with told():
        x = x * 2
    return x + ⟦?x.sum().item()⟧
""",
        ids="GB0059 GB0124",
        explain=0,
    ),
    Situation(
        "in __getitem__ and __bool__",
        """
class Rows:
    def __init__(self, x):
        self.x = x

    def __getitem__(self, index):
        return self.x * ⟦self.x[index].item()⟧

    def __bool__(self):
        return ⟦bool(self.x.any())⟧

def f(x):
    rows = Rows(x + 1)
    y = rows[2]
    if rows:
        y = y * 2
    return y + ⟦?y.max().item()⟧
""",
    ),
    Situation(
        "in a singledispatch function",
        """
import functools

@functools.singledispatch
def scaled(x):
    raise TypeError

@scaled.register
def _(x: torch.Tensor):
    return x * ⟦x.max().item()⟧

def f(x):
    return scaled(x + 1) * 2
""",
    ),
    Situation(
        "in a function that is differentiated",
        """
def loss(x):
    y = x * 2
    ⟦print("in loss")⟧
    return (y * y).sum()

def f(x):
    y = x + 1
    return torch.func.grad(loss)(y) * 2
""",
        ids="GB0059",
    ),
    Situation(
        "training inside",
        """
def f(x):
    loss = (x * 2).sum()
    ⟦loss.backward()⟧
    ⟦torch.manual_seed(0)⟧
    return loss + 1
""",
        ids="GB0123 GB0007",
        calls="[(torch.arange(6.0, requires_grad=True),)]",
    ),
    Situation(
        "a file",
        """
import os
import sys

def f(x):
    y = x + 1
    with ⟦⟦open(os.devnull, "w")⟧⟧ as file:
        ⟦?file.write("done")⟧
    ⟦?sys.stdout.write("done")⟧
    return y * 2
""",
        ids="GB0142 GB0059 GB0156 GB0156",
        explain=2,
    ),
    Situation(
        "an aliased method",
        """
def f(x):
    take = x.sum().item
    y = x + ⟦take()⟧
    again = (y.sum)()
    return y + ⟦(again.item)()⟧
""",
        explain=2,
    ),
    Situation(
        "in a static, a class and a patched method",
        """
import types

class Scale:
    @staticmethod
    def peak(x):
        return ⟦x.max().item()⟧

    @classmethod
    def low(cls, x):
        return ⟦x.min().item()⟧

SCALE = Scale()
SCALE.middle = types.MethodType(lambda self, x: ⟦x.mean().item()⟧, SCALE)

def f(x):
    y = x * Scale.peak(x)
    y = y + Scale.low(y)
    return y - SCALE.middle(y)
""",
        explain=3,
    ),
    Situation(
        "after set_logs",
        """
def f(x):
    ⟦torch._logging.set_logs(graph_breaks=False)⟧
    n = ⟦x.sum().item()⟧
    return x + n
""",
        ids="GB0007 GB0124",
        alone=True,
    ),
    Situation(
        "after dictConfig",
        """
import logging.config

def f(x):
    ⟦logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})⟧
    n = ⟦x.sum().item()⟧
    return x + n
""",
        ids="GB0156 GB0124",
        alone=True,
    ),
    Situation(
        "after logging.disable",
        """
import logging

def f(x):
    ⟦logging.disable(logging.CRITICAL)⟧
    n = ⟦x.sum().item()⟧
    return x + n
""",
        ids="GB0467 GB0124",
        alone=True,
    ),
)
