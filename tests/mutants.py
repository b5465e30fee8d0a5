"""Wrong rewrites, and right ones of the same shape: each removes a real graph break, and only the judge can tell.

What a function does there is of no use; the shapes are those that rules rewrite.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADER = "import torch\nfrom graphfix import Call, target\n\n"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rewrite that is offered as a fix of the break in `source`.

    `edits` are old text (in the source once) and new text, the one that removes the break first. `says` is part of
    what the judge must say against it; None marks a rewrite that must be kept: a right one, or a `one_sided` one, which
    the verdict must tell from those. `calls` is the body of the target. `alone` gives it processes of its own. `missed`
    is why the judge keeps it today: it then says nothing.
    """

    name: str
    source: str
    edits: tuple[tuple[str, str], ...]
    says: str | None
    calls: str = "yield Call(f, torch.arange(6.0))"
    alone: bool = False
    missed: str | None = None
    one_sided: bool = False


def _edit(old: str, new: str, *also: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The edits of a mutant: the one that removes the break, and those that belong to it elsewhere."""
    return ((old, new), *also)


SCALE = """
def f(x):
    y = x + 1
    scale = y.sum().item()
    return y * scale
"""
LINES = "y = x + 1\n    scale = y.sum().item()"

CLIP = """
def f(x):
    if (x > 3).any():
        x = x.clamp(max=3)
    return x + 1
"""
IF_CLIP = "if (x > 3).any():\n        x = x.clamp(max=3)"

MASK = """
def f(x):
    y = x * 2
    bad = y > 4
    if bad.any():
        y[bad] = 0.0
    return y
"""
IF_MASK = "if bad.any():\n        y[bad] = 0.0"

WRITE = """
def f(x):
    bad = x > 3
    if bad.any():
        x[bad] = 0.0
    return x + 1
"""
IF_WRITE = "if bad.any():\n        x[bad] = 0.0"

FRESH = """
def f(x):
    bad = x > 3
    if bad.any():
        x = x.masked_fill(bad, 0.0)
    return x + 1
"""
IF_FRESH = "if bad.any():\n        x = x.masked_fill(bad, 0.0)"

CHOOSE = """
def f(x, c):
    if (c > 0).any():
        y = x * 2
    else:
        y = x - 1
    return y + 1
"""
IF_CHOOSE = "if (c > 0).any():\n        y = x * 2\n    else:\n        y = x - 1"
ONE_WAY = "yield Call(f, torch.arange(3.0), torch.ones(3))"
BOTH_WAYS = ONE_WAY + "\nyield Call(f, torch.arange(4.0), -torch.ones(4))"

GUARD = """
def f(x):
    if x.sum() < 0:
        raise ValueError("negative")
    return x * 2
"""
IF_GUARD = 'if x.sum() < 0:\n        raise ValueError("negative")'
GOOD = "yield Call(f, torch.arange(3.0))"
GOOD_AND_BAD = GOOD + "\nyield Call(f, -torch.ones(3))"

SHOUT = """
def f(x):
    y = x[1:].clone()
    print("cut to", y.shape)
    return y, y + 1
"""
PRINT = '    print("cut to", y.shape)\n'
QUIET = '    torch.compiler.is_compiling() or print("cut to", y.shape)\n'
END = PRINT + "    return y, y + 1"

LOG = """
import logging
log = logging.getLogger("a")

def f(x):
    y = x[1:].clone()
    log.warning("cut to %s", y.shape)
    return y
"""

MODEL = """
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.register_buffer("mean", torch.zeros(()))
        self.steps = 0

    def forward(self, x):
        if (x > 0).any():
            self.mean.copy_(self.mean * 0.9 + x.mean() * 0.1)
        self.steps += 1
        return x * 2
"""
STEP = "self.mean.copy_(self.mean * 0.9 + x.mean() * 0.1)"
IF_MODEL = f"if (x > 0).any():\n            {STEP}"
WHERE_MODEL = "self.mean.copy_(torch.where((x > 0).any(), self.mean * 0.9 + x.mean() * 0.1, self.mean))"
COUNTING = MODEL.replace("        self.steps += 1", "            self.steps += 1")
MODEL_CALLS = "model = Model()\nyield Call(model, torch.arange(3.0))\nyield Call(model, torch.ones(3))"

GRAD = """
def f(x):
    y = x * 3
    if (y > 4).any():
        y = y.clamp(max=4)
    return y.tanh()
"""
IF_GRAD = "if (y > 4).any():\n        y = y.clamp(max=4)"
WITH_GRAD = "yield Call(f, torch.arange(3.0).requires_grad_(), grad=True)"

NOISE = """
def f(x):
    if (x > 0).any():
        x = x + torch.rand_like(x)
    return x * 2
"""
IF_NOISE = "if (x > 0).any():\n        x = x + torch.rand_like(x)"

DRAWS = """
def f(x):
    a = torch.rand(4)
    print("drawn")
    b = torch.rand(4)
    return x * a + b
"""
DRAW = 'a = torch.rand(4)\n    print("drawn")\n    b = torch.rand(4)'
FOUR = "yield Call(f, torch.arange(4.0))"

PAIR = """
LIMIT = 3
CACHE = []
HISTORY = []

def helper(y):
    return y + y.sum().item()

def f(x):
    return helper(x * 2) - LIMIT
"""

SQUARE = """
def f(x):
    y = x * 2
    if (y > 100).any():
        y = y.sum(0)
    else:
        y = y.sum(1)
    return y
"""
IF_SQUARE = "if (y > 100).any():\n        y = y.sum(0)\n    else:\n        y = y.sum(1)"

WHOLE = """
def f(x):
    top = x.max().item()
    return x // top
"""

NONEMPTY = """
def f(x):
    if x.numel() > 0 and (x > 3).any():
        x = x - x.max()
    return x + 1
"""
IF_NONEMPTY = "if x.numel() > 0 and (x > 3).any():\n        x = x - x.max()"

ROOT = """
def f(x):
    if torch.det(x) > 0:
        y = torch.linalg.cholesky(x)
    else:
        y = x * 2
    return y
"""
IF_ROOT = "if torch.det(x) > 0:\n        y = torch.linalg.cholesky(x)\n    else:\n        y = x * 2"

VIEW = """
def f(x):
    first = x[0]
    if (first > 1).any():
        first = first.clamp(max=1)
    return first + 1
"""
IF_VIEW = "if (first > 1).any():\n        first = first.clamp(max=1)"

TURN = """
def f(x):
    y = x.t() + 1
    print("turned")
    return y
"""

RECORD = """
import dataclasses

@dataclasses.dataclass
class Result:
    value: torch.Tensor
    count: int

def f(x):
    y = x + 1
    print("made", y.shape)
    return Result(y, 2)
"""

NAMED = """
def f(x):
    y = x + 1
    print("made", y.shape)
    return {"sum": y.sum(), "all": y, "none": None}
"""
NAMED_END = 'print("made", y.shape)\n    return {"sum": y.sum(), "all": y, "none": None}'

INLINE = """
def f(x, c):
    y = x * 2 if (c > 0).any() else x - 1
    return y + 1
"""

SUM_OUT = """
def f(x):
    y = x + 1
    n = y.sum().item()
    return y * n, n
"""

MATRIX = "yield Call(f, torch.arange(6.0).reshape(2, 3))"

ITEM = "y.sum().item()"
TWO_SUMS = "yield Call(f, torch.arange(6.0))\nyield Call(f, torch.ones(6))"
SOME = "yield Call(f, torch.arange(3.0), torch.arange(3.0))"
INTS = "yield Call(f, torch.arange(1, 7))"
DUAL_GUARD = (
    "if torch.compiler.is_compiling():\n        torch._assert_async(~(x.sum() < 0), 'negative')\n"
    '    elif x.sum() < 0:\n        raise ValueError("negative")'
)

OBJECT = """
class Model:
    steps = 0

    def step(self, x):
        y = x + 1
        self.steps += 1
        print("step", self.steps)
        return y
"""
PRINT_OBJECT = '        self.steps += 1\n        print("step", self.steps)\n'

UNREACHED = """
def f(x):
    if torch.eye(3).sum() > 2:
        y = x * 2
    else:
        y = x - 1
    return y + 1
"""
IF_UNREACHED = "if torch.eye(3).sum() > 2:\n        y = x * 2\n    else:\n        y = x - 1"

LOOP = """
def f(x):
    while (x > 8).any():
        x = x / 2
    return x + 1
"""
IF_LOOP = "    while (x > 8).any():\n        x = x / 2\n"

OUT = """
def f(x, out):
    y = x + 1
    print("made", y.shape)
    out["sum"] = y.sum()
    return y
"""
END_OUT = 'print("made", y.shape)\n    out["sum"] = y.sum()\n    return y'

MUTANTS = (
    # right ones
    Mutant("right: item becomes a tensor", SCALE, _edit("y.sum().item()", "y.sum()"), None),
    Mutant("right: clip always", CLIP, _edit(IF_CLIP, "x = x.clamp(max=3)"), None),
    Mutant("right: store always", MASK, _edit(IF_MASK, "y[bad] = 0.0"), None),
    Mutant("right: where for a store", MASK, _edit(IF_MASK, "y = torch.where(bad, 0.0, y)"), None),
    Mutant("right: store into the argument", WRITE, _edit(IF_WRITE, "x[bad] = 0.0"), None),
    Mutant("right: fill a copy", FRESH, _edit(IF_FRESH, "x = x.masked_fill(bad, 0.0)"), None),
    Mutant(
        "right: where for both ways",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where((c > 0).any(), x * 2, x - 1)"),
        None,
        ONE_WAY,
    ),
    Mutant(
        "right: assert on the device",
        GUARD,
        _edit(
            IF_GUARD,
            "if torch.compiler.is_compiling():\n"
            "        torch._assert_async(~(x.sum() < 0), 'negative')\n"
            '    elif x.sum() < 0:\n        raise ValueError("negative")',
        ),
        None,
        GOOD,
    ),
    Mutant("right: print in eager only", SHOUT, _edit("print(", "torch.compiler.is_compiling() or print("), None),
    Mutant("right: buffer with where", MODEL, _edit(IF_MODEL, WHERE_MODEL), None, MODEL_CALLS),
    Mutant("right: clip with gradients", GRAD, _edit(IF_GRAD, "y = y.clamp(max=4)"), None, WITH_GRAD),
    Mutant("right: the same draws", DRAWS, _edit("print(", "torch.compiler.is_compiling() or print("), None, FOUR),
    # values
    Mutant("mean for sum", SCALE, _edit(ITEM, "y.mean()"), "call 1: output differs"),
    Mutant("stale tensor", SCALE, _edit(LINES, "scale = x.sum()\n    y = x + 1"), "call 1: output differs"),
    Mutant("constant for the first call's value", SCALE, _edit(ITEM, "21.0"), "call 2: output differs", TWO_SUMS),
    Mutant(
        "first call's value cached",
        "CACHE = []\n" + SCALE,
        _edit("scale = y.sum().item()", "if not CACHE:\n        CACHE.append(y.sum())\n    scale = CACHE[0]"),
        "call 2: output differs",
        TWO_SUMS,
    ),
    Mutant("dtype wider", SCALE, _edit(ITEM, "y.sum(0, keepdim=True).double()"), "dtype is torch.float64"),
    Mutant("rounded to half", SCALE, _edit(ITEM, "(y.sum() / 3.3).half().float() * 3.3"), "call 1: output differs"),
    Mutant("rounded to int", SCALE, _edit(ITEM, "(y / 4).sum().int() * 4"), "call 1: output differs"),
    Mutant(
        "broadcast to one dimension more", SCALE, _edit(ITEM, "y.sum().reshape(1, 1)"), "shape is torch.Size([1, 6])"
    ),
    Mutant(
        "float of a tensor of ints",
        WHOLE,
        _edit("x.max().item()\n    return x // top", "x.max()\n    return x / top"),
        "dtype is torch.float32, was torch.int64",
        INTS,
    ),
    Mutant(
        "a wide scalar promotes ints",
        WHOLE,
        _edit("x.max().item()\n    return x // top", "x.max().double()\n    return x // top"),
        "dtype is torch.float64, was torch.int64",
        INTS,
    ),
    Mutant("a number becomes a tensor", SUM_OUT, _edit("y.sum().item()", "y.sum()"), "output[1] is Tensor, was float"),
    Mutant(
        "a constant changed elsewhere",
        PAIR,
        _edit("y.sum().item()", "y.sum()", ("LIMIT = 3", "LIMIT = 4")),
        "call 1: output differs",
    ),
    # the branch
    Mutant("wrong way kept", CHOOSE, _edit(IF_CHOOSE, "y = x - 1"), "call 1: output differs", ONE_WAY),
    Mutant("the only way taken kept", CHOOSE, _edit(IF_CHOOSE, "y = x * 2"), "with input 2: zero, ", ONE_WAY),
    Mutant(
        "ways swapped",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where((c > 0).any(), x - 1, x * 2)"),
        "call 1: output differs",
        BOTH_WAYS,
    ),
    Mutant(
        "all for any",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where((c > 0).all(), x * 2, x - 1)"),
        "with input 2: one element",
        ONE_WAY,
    ),
    Mutant(
        "boundary moved",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where((c >= 0).any(), x * 2, x - 1)"),
        "with input 2: zero",
        ONE_WAY,
    ),
    Mutant(
        "nan taken the other way",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where(~(c <= 0).all(), x * 2, x - 1)"),
        "nan, ",
        ONE_WAY,
    ),
    Mutant(
        "per element for any",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where(c > 0, x * 2, x - 1)"),
        "call 1: output differs",
        SOME,
    ),
    Mutant(
        "chosen by shape",
        CHOOSE,
        _edit(IF_CHOOSE, IF_CHOOSE.replace("(c > 0).any()", "x.shape[0] == 3")),
        "call 2: output differs",
        ONE_WAY + "\nyield Call(f, torch.arange(4.0), torch.ones(4))",
    ),
    Mutant(
        "boundary moved where both ways are called",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where((c >= 0).any(), x * 2, x - 1)"),
        "['output'] differs in its bits",
        BOTH_WAYS,
    ),
    Mutant(
        "other way lost in an expression",
        INLINE,
        _edit("x * 2 if (c > 0).any() else x - 1", "x * 2"),
        "['output'] differs in its bits",
        ONE_WAY,
    ),
    Mutant(
        "dimension off by one on a square",
        SQUARE,
        _edit(IF_SQUARE, "y = y.sum(0)"),
        "with all inputs: first row zero, ",
        "yield Call(f, torch.ones(3, 3))",
    ),
    Mutant(
        "clip lost where no call clips",
        CLIP,
        _edit(IF_CLIP, "pass"),
        "with all inputs: larger, ",
        "yield Call(f, torch.zeros(3))",
    ),
    Mutant("bounds of a clip swapped", CLIP, _edit(IF_CLIP, "x = x.clamp(min=3)"), "call 1: output differs"),
    Mutant("nan replaced", CLIP, _edit(IF_CLIP, "x = x.nan_to_num(3, 3).clamp(max=3)"), "one element nan, "),
    Mutant(
        "where takes a way that raises",
        ROOT,
        _edit(IF_ROOT, "y = torch.where(torch.det(x) > 0, torch.linalg.cholesky(x), x * 2)"),
        "with all inputs: zero, ",
        "yield Call(f, torch.eye(3) * 4)",
    ),
    Mutant(
        "empty input not asked for",
        NONEMPTY,
        _edit(IF_NONEMPTY, "x = torch.where((x > 3).any(), x - x.max(), x)"),
        "empty, ",
        "yield Call(f, torch.arange(6.0))",
    ),
    Mutant(
        "empty input called",
        NONEMPTY,
        _edit(IF_NONEMPTY, "x = torch.where((x > 3).any(), x - x.max(), x)"),
        "call 2: output is NoneType, was Tensor",
        "yield Call(f, torch.arange(6.0))\nyield Call(f, torch.ones(0))",
    ),
    Mutant(
        "loop lost where no call goes round",
        LOOP,
        _edit(IF_LOOP, ""),
        "['output'] differs in its bits",
    ),
    # masks
    Mutant("mask inverted", MASK, _edit(IF_MASK, "y = torch.where(bad, y, 0.0)"), "call 1: output differs"),
    Mutant("mask off by one", MASK, _edit(IF_MASK, "y[y >= 4] = 0.0"), "call 1: output differs"),
    Mutant("mask shifted by one", MASK, _edit(IF_MASK, "y[bad.roll(1)] = 0.0"), "call 1: output differs"),
    Mutant("mask multiplied, inf becomes nan", MASK, _edit(IF_MASK, "y = y * ~bad"), "one element inf, "),
    Mutant(
        "zero of the other sign",
        MASK,
        _edit(IF_MASK, "y = torch.where(bad, -0.0, y)"),
        "output differs in its bits, by at most 0",
    ),
    Mutant(
        "dtype of the filling wins",
        MASK,
        _edit(IF_MASK, "y = torch.where(bad, torch.zeros(1).double(), y)"),
        "dtype is torch.float64",
    ),
    # memory
    Mutant("argument no longer written", WRITE, _edit(IF_WRITE, "x = torch.where(bad, 0.0, x)"), "arguments"),
    Mutant("argument written", FRESH, _edit(IF_FRESH, "x.masked_fill_(bad, 0.0)"), "arguments"),
    Mutant(
        "argument written where no call goes",
        FRESH,
        _edit(IF_FRESH, "x.masked_fill_(bad, 0.0)"),
        "larger, ['arguments']",
        "yield Call(f, torch.zeros(3))",
    ),
    Mutant("argument written through a view", VIEW, _edit(IF_VIEW, "first.clamp_(max=1)"), "arguments", MATRIX),
    Mutant("view for a copy", SHOUT, _edit(PRINT, QUIET, ("x[1:].clone()", "x[1:]")), "share memory"),
    Mutant(
        "copy for a view",
        SHOUT.replace(".clone()", ""),
        _edit(PRINT, QUIET, ("x[1:]", "x[1:].clone()")),
        "share memory",
    ),
    Mutant(
        "outputs share memory",
        SHOUT.replace("y + 1", "y.clone()"),
        _edit(PRINT, QUIET, ("y.clone()", "y")),
        "other tensors share memory",
    ),
    Mutant(
        "strides changed",
        TURN,
        _edit("print(", "torch.compiler.is_compiling() or print(", ("x.t() + 1", "x.t().contiguous() + 1")),
        "strides are",
        MATRIX,
    ),
    Mutant(
        "compiled code does not write",
        WRITE,
        _edit(IF_WRITE, "x = torch.where(bad, 0.0, x) if torch.compiler.is_compiling() else x.masked_fill_(bad, 0.0)"),
        "arguments",
    ),
    Mutant(
        "view for a copy in compiled code",
        SHOUT,
        _edit(PRINT, QUIET, ("x[1:].clone()", "(x[1:] if torch.compiler.is_compiling() else x[1:].clone())")),
        "compiled: other tensors share memory",
    ),
    # what is returned
    Mutant("outputs swapped", SHOUT, _edit(END, "    return y + 1, y"), "output[0] differs"),
    Mutant(
        "list for tuple",
        SHOUT,
        _edit(END, "    return [y, y + 1]"),
        "output is list, was tuple",
    ),
    Mutant("one output more", SHOUT, _edit(END, "    return y, y + 1, None"), "output has 3 items, had 2"),
    Mutant(
        "keys in another order",
        NAMED,
        _edit(NAMED_END, 'return {"all": y, "sum": y.sum(), "none": None}'),
        "output has other keys: their order",
    ),
    Mutant(
        "tensor for None",
        NAMED,
        _edit(NAMED_END, 'return {"sum": y.sum(), "all": y, "none": y}'),
        "output['none'] is Tensor, was NoneType",
    ),
    Mutant(
        "field changed",
        RECORD,
        _edit('print("made", y.shape)\n    return Result(y, 2)', "return Result(y, 3)"),
        "output.count is 3, was 2",
    ),
    Mutant(
        "another class",
        RECORD,
        _edit(
            'print("made", y.shape)\n    return Result(y, 2)',
            "return Other(y, 2)",
            ("def f", "class Other(Result):\n    pass\n\n\ndef f"),
        ),
        "output class is",
    ),
    Mutant(
        "float for int",
        RECORD,
        _edit('print("made", y.shape)\n    return Result(y, 2)', "return Result(y, 2.0)"),
        "output.count is 2.0, was 2",
    ),
    Mutant(
        "entry in a dictionary argument lost",
        OUT,
        _edit(END_OUT, "return y"),
        "arguments[0][1] has",
        "yield Call(f, torch.arange(3.0), {})",
    ),
    # modules
    Mutant("buffer no longer updated", MODEL, _edit(IF_MODEL, "pass"), "state", MODEL_CALLS),
    Mutant(
        "buffer updated twice",
        MODEL,
        _edit(IF_MODEL, f"{STEP}\n        {STEP}"),
        "state",
        MODEL_CALLS,
    ),
    Mutant("buffer updated where no call goes", MODEL, _edit(IF_MODEL, STEP), "state", MODEL_CALLS),
    Mutant(
        "buffer replaced",
        MODEL,
        _edit(IF_MODEL, "self.mean = torch.where((x > 0).any(), x.mean() * 0.1, self.mean)"),
        "call 1: state: buffers",
        MODEL_CALLS,
    ),
    Mutant(
        "buffer updated in eager only",
        MODEL,
        _edit(IF_MODEL, IF_MODEL.replace("if", "if not torch.compiler.is_compiling() and")),
        "mean'] differs by",
        MODEL_CALLS,
    ),
    Mutant(
        "counter lost",
        MODEL,
        _edit(IF_MODEL, WHERE_MODEL, ("self.steps += 1", "pass")),
        "state",
        MODEL_CALLS,
    ),
    Mutant(
        "counter lost in compiled code",
        MODEL,
        _edit(IF_MODEL, WHERE_MODEL, ("self.steps += 1", "self.steps += not torch.compiler.is_compiling()")),
        "steps",
        MODEL_CALLS,
    ),
    Mutant(
        "counted where no call goes",
        COUNTING,
        _edit(IF_MODEL, WHERE_MODEL, ("    self.steps += 1", "self.steps += 1")),
        "state attributes",
        MODEL_CALLS,
    ),
    Mutant(
        "parameter written",
        MODEL,
        _edit(IF_MODEL, WHERE_MODEL + "\n        with torch.no_grad():\n            self.weight.mul_(2)"),
        "the modules' parameters differ",
        MODEL_CALLS,
    ),
    Mutant(
        "parameter written in compiled code",
        MODEL,
        _edit(
            IF_MODEL,
            WHERE_MODEL
            + "\n        with torch.no_grad():"
            + "\n            self.weight.mul_(2 if torch.compiler.is_compiling() else 1)",
        ),
        "compiled: the modules' parameters differ",
        MODEL_CALLS,
    ),
    # gradients
    Mutant(
        "gradient cut",
        GRAD,
        _edit(IF_GRAD, "y = y.detach().clamp(max=4)"),
        "requires_grad is False, was True",
        WITH_GRAD,
    ),
    Mutant(
        "gradient cut, value kept", GRAD, _edit(IF_GRAD, "y = y.clamp(max=4).detach() + 0 * y"), "gradients", WITH_GRAD
    ),
    Mutant(
        "gradient scaled",
        GRAD,
        _edit(IF_GRAD, "y = y.clamp(max=4)\n    y = 2 * y - y.detach()"),
        "gradients",
        WITH_GRAD,
    ),
    Mutant(
        "gradient scaled in compiled code",
        GRAD,
        _edit(IF_GRAD, "y = y.clamp(max=4)\n    y = 2 * y - y.detach() if torch.compiler.is_compiling() else y"),
        "gradients",
        WITH_GRAD,
    ),
    Mutant(
        "gradient scaled, not asked for",
        GRAD,
        _edit(IF_GRAD, "y = y.clamp(max=4)\n    y = 2 * y - y.detach()"),
        "",
        WITH_GRAD.replace(", grad=True", ""),
        missed="gradients are compared where a call asks for them, and only there",
    ),
    Mutant(
        "gradient cut where no call goes",
        GRAD,
        _edit(IF_GRAD, "y = torch.where((y > 4).any(), y.clamp(max=4).detach(), y)"),
        "['gradients']",
        "yield Call(f, torch.zeros(3).requires_grad_(), grad=True)",
    ),
    Mutant(
        "gradient flows where it was cut",
        SCALE,
        _edit(ITEM, "y.sum()"),
        "gradients",
        "yield Call(f, torch.arange(3.0).requires_grad_(), grad=True)",
    ),
    # random numbers
    Mutant(
        "draws swapped", DRAWS, _edit(DRAW, "b = torch.rand(4)\n    a = torch.rand(4)"), "call 1: output differs", FOUR
    ),
    Mutant(
        "one draw more",
        DRAWS,
        _edit(DRAW, "a = torch.rand(4)\n    b = torch.rand(4)\n    torch.rand(1)"),
        "other random numbers",
        FOUR,
    ),
    Mutant(
        "drawn twice",
        DRAWS,
        _edit(DRAW, "a = torch.rand(4) if x.dim() == 2 else torch.rand(4) * 0 + torch.rand(4)\n    b = torch.rand(4)"),
        "call 1: output differs",
        FOUR,
    ),
    Mutant(
        "drawn from another distribution",
        DRAWS,
        _edit(DRAW, "a = torch.rand(4)\n    b = torch.rand(8)[:4]"),
        "other random numbers",
        FOUR,
    ),
    Mutant(
        "python's numbers for torch's",
        "import random\n" + DRAWS,
        _edit(DRAW, "a = torch.rand(4)\n    b = torch.rand(4) + 0 * random.random()"),
        "other random numbers",
        FOUR,
    ),
    Mutant(
        "seed set",
        DRAWS,
        _edit(DRAW, "a = torch.rand(4)\n    b = torch.rand(4)\n    torch.manual_seed(0)"),
        "other random numbers",
        FOUR,
        alone=True,
    ),
    Mutant(
        "drawn on the way that no call takes",
        NOISE,
        _edit(IF_NOISE, "x = torch.where((x > 0).any(), x + torch.rand_like(x), x)"),
        "other random numbers were drawn",
        "yield Call(f, torch.ones(3))",
    ),
    Mutant(
        "drawn on the way that the second call does not take",
        NOISE,
        _edit(IF_NOISE, "x = torch.where((x > 0).any(), x + torch.rand_like(x), x)"),
        "call 2: other random numbers",
        "yield Call(f, torch.ones(3))\nyield Call(f, -torch.ones(3))",
    ),
    Mutant(
        "other numbers in compiled code",
        DRAWS,
        _edit(
            "print(",
            "torch.compiler.is_compiling() or print(",
            ("a = torch.rand(4)", "a = torch.rand(5)[1:] if torch.compiler.is_compiling() else torch.rand(4)"),
        ),
        "call 1: output differs by",
        FOUR,
    ),
    Mutant(
        "one draw more in compiled code",
        DRAWS,
        _edit(
            "print(",
            "torch.compiler.is_compiling() or print(",
            ("return x *", "x = x + 0 * torch.rand(4) if torch.compiler.is_compiling() else x\n    return x *"),
        ),
        "compiled: other random numbers were drawn",
        FOUR,
    ),
    # exceptions
    Mutant("exception lost", GUARD, _edit(IF_GUARD, "pass"), "call 2: output is Tensor, was NoneType", GOOD_AND_BAD),
    Mutant("exception lost where no call goes", GUARD, _edit(IF_GUARD, "pass"), "with all inputs: negative, ", GOOD),
    Mutant(
        "exception lost in compiled code",
        GUARD,
        _edit(IF_GUARD, "if not torch.compiler.is_compiling() and" + IF_GUARD[2:]),
        "call 2: output is Tensor, was NoneType",
        GOOD_AND_BAD,
    ),
    Mutant(
        "exception lost in compiled code where no call goes",
        GUARD,
        _edit(IF_GUARD, "if not torch.compiler.is_compiling() and" + IF_GUARD[2:]),
        "the compiled code does not raise ValueError: negative",
        GOOD,
    ),
    Mutant(
        "exception of another type",
        GUARD,
        _edit(IF_GUARD, DUAL_GUARD.replace("ValueError", "TypeError")),
        "is 'TypeError: negative', was 'ValueError: negative'",
        GOOD_AND_BAD,
    ),
    Mutant(
        "exception with other words",
        GUARD,
        _edit(IF_GUARD, DUAL_GUARD.replace('("negative', '("below zero')),
        "is 'ValueError: below zero', was 'ValueError: negative'",
        GOOD,
    ),
    Mutant(
        "exception swallowed",
        GUARD,
        _edit(IF_GUARD, "try:\n        torch._assert_async(x.sum() >= 0)\n    except RuntimeError:\n        pass"),
        "with all inputs: negative, ",
        GOOD,
    ),
    # compiled code only
    Mutant(
        "another value in compiled code",
        CHOOSE,
        _edit(IF_CHOOSE, "y = torch.where((c > 0).any(), x * (3 if torch.compiler.is_compiling() else 2), x - 1)"),
        "call 1: output differs by",
        ONE_WAY,
    ),
    Mutant(
        "another value in compiled code where no call goes",
        CHOOSE,
        _edit(IF_CHOOSE, IF_CHOOSE.replace("(c > 0)", "torch.compiler.is_compiling() or (c > 0)")),
        "compiled: ",
        ONE_WAY,
    ),
    Mutant(
        "another dtype in compiled code",
        SCALE,
        _edit(ITEM, "y.sum(0, True).double() if torch.compiler.is_compiling() else y.sum(0, True)"),
        "call 1: output dtype is torch.float64",
    ),
    Mutant(
        "compiled code raises",
        SCALE,
        _edit(ITEM, "y.sum().reshape(2 if torch.compiler.is_compiling() else ())"),
        "compiled raised",
    ),
    Mutant(
        "small values lost in compiled code",
        SCALE,
        _edit(
            ITEM,
            "y.sum()",
            ("return y * scale", "return (torch.where(y < 2, 0, y) if torch.compiler.is_compiling() else y) * scale"),
        ),
        "compiled: ['output'] differs",
        "yield Call(f, torch.tensor([0.0, 1e6]))",
    ),
    Mutant(
        "strides changed in compiled code",
        TURN,
        _edit(
            "print(",
            "torch.compiler.is_compiling() or print(",
            ("x.t() + 1", "(x.t().contiguous() if torch.compiler.is_compiling() else x.t()) + 1"),
        ),
        "compiled: strides differ",
        MATRIX,
    ),
    # no better compiled
    Mutant("another break", SCALE, _edit(ITEM, "y.sum().tolist()"), "the rewritten code breaks too"),
    Mutant(
        "a break by hand",
        SHOUT,
        _edit('print("cut to", y.shape)', 'print("cut to", y.shape) or torch._dynamo.graph_break()'),
        "the break is still there",
    ),
    Mutant(
        "nothing is compiled",
        SCALE,
        _edit("def f(x):", "@torch.compiler.disable\ndef f(x):"),
        "the break is still there",
    ),
    Mutant(
        "a part is not compiled",
        PAIR,
        _edit("def helper", "@torch.compiler.disable\ndef helper"),
        "a part is not compiled any more",
    ),
    Mutant(
        "torch told to compile nothing",
        SCALE,
        _edit("def f(x):", "torch._dynamo.config.disable = True\ndef f(x):"),
        "no graph was captured",
        alone=True,
    ),
    Mutant(
        "compiled anew on every call",
        SHOUT,
        _edit(
            'print("cut to", y.shape)',
            "SEEN.append(1)",
            ("def f", "SEEN = []\n\n\ndef f"),
            ("y + 1", "y + len(SEEN) * 0 + 1"),
        ),
        "state: changed",
        "\n".join(["yield Call(f, torch.ones(3))"] * 3),
    ),
    # what only calls with one shape and other values tell
    Mutant(
        "a number of the first call kept",
        SCALE,
        _edit(
            LINES,
            "y = x + 1\n    scale = number(y)",
            ("def f", "@torch.compiler.assume_constant_result\ndef number(y):\n    return y.sum().item()\n\n\ndef f"),
        ),
        "compiled",
        "yield Call(f, torch.arange(6.0))\nyield Call(f, torch.ones(2, 3))",
    ),
    # what else a function leaves behind
    Mutant(
        "log lost", LOG, _edit('    log.warning("cut to %s", y.shape)\n', ""), "logs [], logged ['a WARNING: cut to"
    ),
    Mutant("print lost", SHOUT, _edit(PRINT, ""), "prints ''"),
    Mutant(
        "entry in a list lost",
        PAIR.replace("return y + y.sum().item()", "HISTORY.append(y.sum().item())\n    return y"),
        _edit("    HISTORY.append(y.sum().item())\n", ""),
        "changes globals otherwise",
    ),
    Mutant(
        "state of an object lost",
        OBJECT,
        _edit(PRINT_OBJECT, ""),
        "state: changed",
        "yield Call(Model().step, torch.ones(3))",
    ),
    Mutant(
        "gradients left off",
        SHOUT,
        _edit(PRINT, "    torch._C._set_grad_enabled(False)\n"),
        "torch is left in another mode",
        alone=True,
    ),
    # where no input leads
    Mutant(
        "a way that no input leads to",
        UNREACHED,
        _edit(IF_UNREACHED, "y = x * 2"),
        None,
        one_sided=True,
    ),
)
