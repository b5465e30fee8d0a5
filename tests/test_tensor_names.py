"""What Dynamo names as a tensor is one in what stands around it, and what Python decides stays Python's."""

from __future__ import annotations

import ast

from graphfix.registry import selected
from graphfix.rule import Site, apply
from graphfix.source.module import Module


def fixed(source: str, code: str, named: str) -> str:
    """The source after the rule repaired the break at the expression `named`."""
    module = Module("m.py", source)
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, ast.expr)]
    (node,) = [node for node in nodes if ast.unparse(node) == named]
    (rule,) = selected([code])
    fix = rule.fix(Site(module, node))
    assert fix is not None
    return apply(source, fix.edits)


def test_a_nested_ternary_on_the_same_name() -> None:
    head = "import torch\ndef f(a, b, limit: float):\n    kl = (a - b).mean()\n"
    source = head + "    return 2.0 if kl > limit else (0.5 if kl < limit / 3 else 1.0)\n"
    expected = "return torch.where(kl > limit, 2.0, torch.where(kl < limit / 3, 0.5, 1.0))\n"
    assert fixed(source, "GF208", "kl > limit").endswith(expected)


def test_a_dtype_is_compared_by_python() -> None:
    source = (
        "import torch\ndef f(x, dtype=None):\n    if dtype == torch.float16 and x.isinf().any():\n"
        "        limit = torch.finfo(dtype).max\n        x = x.clamp(max=limit)\n    return x\n"
    )
    assert fixed(source, "GF206", "dtype == torch.float16") == (
        "import torch\ndef f(x, dtype=None):\n    if dtype == torch.float16:\n        limit = torch.finfo(dtype).max\n"
        "        x = torch.where(x.isinf().any(), x.clamp(max=limit), x)\n    return x\n"
    )


def test_a_word_is_compared_by_python() -> None:
    head = "import torch\ndef f(x, mode):\n"
    source = head + "    if mode == 'clip' and (x > 1).any():\n        x = x.clamp(max=1)\n    return x\n"
    expected = "    if mode == 'clip':\n        x = torch.where((x > 1).any(), x.clamp(max=1), x)\n    return x\n"
    assert fixed(source, "GF206", "mode == 'clip'").endswith(expected)


def test_a_guard_needs_only_its_own_parts_to_be_pure() -> None:
    source = "import math\nimport torch\ndef f(x, t):\n    return math.log(t) + x.exp().unknown()\n"
    found = fixed(source, "GF111", "math.log(t)")
    assert "    torch._assert_async(~(t.detach().reshape(()) <= 0)," in found
    assert "    return torch.log(t.detach().reshape(())) + x.exp().unknown()\n" in found


def test_a_guard_stands_above_no_write() -> None:
    source = "import math\nimport torch\ndef f(x, t):\n    return math.log(t) + t.zero_()\n"
    module = Module("m.py", source)
    (node,) = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and len(node.args) == 1]
    (rule,) = selected(["GF111"])
    assert rule.fix(Site(module, node)) is None
