"""What the text makes certain to be a tensor, and what merely looks like one."""

from __future__ import annotations

import ast
import textwrap

import pytest

from graphfix.source.module import Module
from graphfix.source.reach import Reach
from graphfix.source.tensors import is_tensor

SOURCE = """
import numpy as np
import torch
from torch import Tensor
from other import Tensor as Array

def f(t: torch.Tensor, u: "Tensor", other, d: Array, *rest: Tensor, maybe: Tensor = None):
    {body}
"""

CERTAIN = """
t  u  t + 1  1 - t  -t  ~t  t > 0  0 < t  t == u  t[0]  t[t > 0]  t.T  t.sum()  t.max()  t.view(-1).float()
t.clone().add_(1)  other*t  torch.zeros(3)  torch.where(t>0,t,u)  torch.max(t)  torch.cat([t,u])  t@other
t.detach().reshape(())
(t if other else u)  torch.zeros(1)[0].mean()
"""

UNCERTAIN = """
other  d  rest  maybe  other.sum()  np.zeros(3)  t.item()  t.tolist()  t.shape  t.shape[0]  t.size(0)  t.max(dim=0)
t.max(0)  t.sort()  t.topk(2)  t.split(2)  torch.chunk(t,2)  torch.where(t)  torch.max(t,0)  torch.unique(t)  t.numpy()
(not t)  (t is None)  (t == None)  (t == "a")  (0 < t < 1)  (t in u)  "%s"%t  [0]*t  (t if other else 0)
len(t)  int(t)  t.grad  t.nonzero(as_tuple=True)  t.equal(u)  t.is_cuda  t.is_floating_point()  missing  self.weight
t.requires_grad  t.dim()  torch.equal(t,u)  (lambda t: t)  [t]  (t,u)  torch.nonzero(t,as_tuple=True)
"""


def last(body: str, name: str | None = None) -> bool:
    """Whether the last expression of the body (or the last use of a name in it) is a tensor."""
    source = SOURCE.format(body=textwrap.indent(textwrap.dedent(body).strip(), "    ").strip())
    module = Module("m.py", source)
    uses = [n for n in ast.walk(module.tree) if isinstance(n, ast.Name | ast.Call) and isinstance(n, ast.expr)]
    if name is not None:
        loads = [n for n in uses if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
        return is_tensor(module, max(loads, key=lambda node: (node.lineno, node.col_offset)))
    function = module.tree.body[-1]
    assert isinstance(function, ast.FunctionDef)
    statement = function.body[-1]
    assert isinstance(statement, ast.Expr)
    return is_tensor(module, statement.value)


def listed(text: str) -> list[str]:
    return [part for line in text.split("\n") for part in line.split("  ") if part]


@pytest.mark.parametrize("expression", listed(CERTAIN))
def test_certain(expression: str) -> None:
    assert last(expression)


@pytest.mark.parametrize("expression", listed(UNCERTAIN))
def test_uncertain(expression: str) -> None:
    assert not last(expression)


@pytest.mark.parametrize(
    "body",
    [
        "x = torch.ones(3)\nx",
        "x = torch.ones(3)\nx = x * 2\nx += 1\nx",
        "t = t + 1\nt = t * other\nt",
        "if other:\n    x = t\nelse:\n    x = u.sum()\nx",
        "x: Tensor = t * 2\nx",
        "a = b = t\nb",
        "for i in range(3):\n    t = t + i\nt",
        "x = t\n[x for x in other]\nx",
        "def g(x): return x\nx = t\nx",
        "x = other\nx = t\nx",
        "x, y = t.max(0)\nx",
        "(x, y), z = torch.split(t, 2), other\ny",
        "rest = torch.stack(rest)\nrest",
        "if other:\n    return\nelse:\n    x = t\nx",
        "x = None\nif x is None:\n    x = t\nx",
        "if other is None:\n    other = t\nelif not isinstance(other, Tensor):\n    other = torch.tensor(other)\nother",
        "if maybe is not None:\n    x = maybe\nelse:\n    x = t\nx",
        "while other:\n    t = t * 2\n    if t is other:\n        break\nt",
        "try:\n    x = t\nexcept ValueError:\n    x = u\nx",
        "x = [t * one for one in other]\nx[0]",
        "x = {1: t}\ny = (z := t + 1)\nz",
        "with torch.no_grad():\n    x = t\nx",
        "def g(v):\n    return v.unsqueeze(0)\ng(other)",
        "def g(v) -> Tensor:\n    return v\nx = g(other)\nx",
    ],
)
def test_names_that_stay_tensors(body: str) -> None:
    assert last(body)


@pytest.mark.parametrize("body", ["for x in t:\n    x", "x = t\ndef g():\n    return x\n"])
def test_names_inside(body: str) -> None:
    assert last(body, "x")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("x = torch.ones(3)\nif other:\n    x = 3\nx", "x"),
        ("x = torch.ones(3)\nfor i in other:\n    y = x\n    x = 3\n", "x"),
        ("x = torch.ones(3)\nwhile other:\n    if other:\n        x = 3\n        continue\n    x = t\nx", "x"),
        ("x = t\ndel x\nx", "x"),
        ("if torch.compiler.is_compiling():\n    x = 3\nelse:\n    x = t\nx", "x"),
        ("if isinstance(t, int):\n    t", "t"),
        ("x = torch.ones(3)\nx = x.item()\nx", "x"),
        ("t = t.max()\nt = t.tolist()\nt", "t"),
        ("with other as x:\n    x", "x"),
        ("x = t\nimport x\nx", "x"),
        ("x = t\ndef x(): pass\nx", "x"),
        ("try:\n    x = t\nexcept E as x:\n    pass\nx", "x"),
        ("x = t\nmatch other:\n    case [x]: pass\nx", "x"),
        ("x = t\ndef g():\n    nonlocal x\n    x = 1\nx", "x"),
        ("global x\nx = t\nx", "x"),
        ("x = t\n(lambda x: x)", "x"),
        ("[t for t in other]", "t"),
        ("other = other + 1\nother", "other"),
        ("other += t\nother", "other"),
        ("torch = other\nx = torch.ones(3)\nx", "x"),
        ("t = 'a' if other else t\nt", "t"),
    ],
)
def test_names_that_may_become_something_else(body: str, name: str) -> None:
    assert not last(body, name)


def test_torch_by_another_name() -> None:
    for source, expected in [
        ("import torch as th\ndef f(t: th.Tensor):\n    t.sum()\n", True),
        ("import tensorflow as torch\ndef f(t: torch.Tensor):\n    t.sum()\n", False),
        ("from jax import Tensor\ndef f(t: Tensor):\n    t.sum()\n", False),
        ("import torch\ndef f(t: torch.Tensor, y=t.sum()): pass\n", False),
    ]:
        module = Module("m.py", source)
        call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
        assert is_tensor(module, call) is expected, source


def test_long_sums_end() -> None:
    assert last("other" + " + t" * 500)
    assert not last("other" + " + other" * 500)
    assert not last("\n".join(f"x{i} = x{i - 1} + x{i - 1}" for i in range(1, 60)) + "\nx59", "x59")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A(nn.Module):\n    def forward(self):\n        mark\n", True),
        ("class A(nn.Module):\n    def load(self):\n        mark\n", False),
        ("class A(nn.Module):\n    def forward(self):\n        self.__of()\n    def __of(self):\n        mark\n", True),
        ("class A(nn.Module):\n    def __init__(self):\n        mark\n", False),
        ("class A:\n    def forward(self):\n        mark\n", False),
        ("@torch.compile(mode='x')\ndef f():\n    def g():\n        mark\n", True),
        ("def f():\n    mark\n", False),
        ("mark\n", False),
        ("def d(f):\n    def g(*a):\n        mark\n    return g\n@torch.compile\n@d\ndef h():\n    pass\n", True),
        ("def d(f):\n    def g(*a):\n        mark\n    return g\n@d\n@torch.compile\ndef h():\n    pass\n", False),
        ("def d(f):\n    mark\n    return f\n@torch.compile\n@d\ndef h():\n    pass\n", False),
        ("class A(nn.Module):\n    def forward(self):\n        f()\n@torch.jit.script\ndef f():\n    mark\n", True),
    ],
)
def test_compiled_regions(source: str, expected: bool) -> None:
    module = Module("m.py", source)
    mark = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Name) and node.id == "mark")
    function = module.analysis.function(mark)
    assert (function is not None and module.analysis.reached.of(function) is Reach.COMPILED) is expected


@pytest.mark.parametrize(
    ("definition", "call", "expected"),
    [
        ("def g(n): ", "g(x.sum())", True),
        ("def g(a, *, n=None): ", "g(1, n=x.sum())", False),
        ("def g(n): ", "g(x.size(0))", None),
        ("def g(n): ", "g(other)", None),
        ("def g(n): ", "g(*x)", None),
        ("def g(n): ", "g(x.sum()); g(other)", True),
        ("def g(n): ", "g(x.sum()); g(3)", None),
        ("def g(n=3): ", "g()", None),
        ("def g(n: int): ", "g(x.sum())", True),
        ("def g(n: torch.Tensor): ", "g(x.size(0))", False),
        ("def g(n: torch.Tensor): ", "g(other)", True),
    ],
)
def test_parameters_are_what_the_calls_pass(definition: str, call: str, expected: bool | None) -> None:
    source = f"import torch\n{definition}return n\ndef f(x: torch.Tensor, other): {call}\n"
    module = Module("m.py", source)
    (function,) = (node for node in module.tree.body if isinstance(node, ast.FunctionDef) and node.name == "g")
    assert isinstance(function.body[0], ast.Return)
    assert function.body[0].value is not None
    assert module.analysis.tensor(function.body[0].value) is expected


def test_a_static_method_takes_no_self() -> None:
    source = """
        import torch
        class Net(torch.nn.Module):
            def forward(self, x: torch.Tensor):
                return self.a(x.sum(), 1) + self.b(x.sum(), 1)
            @staticmethod
            def a(n, m): return n, m
            def b(self, n, m): return n, m
    """
    module = Module("m.py", textwrap.dedent(source))
    returned = [node.value for node in ast.walk(module.tree) if isinstance(node, ast.Return)][1:]
    for pair in returned:
        assert isinstance(pair, ast.Tuple)
        assert [module.analysis.tensor(one) for one in pair.elts] == [True, None]
