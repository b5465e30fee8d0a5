"""An outlined function whose result is not what the rewrite assumed raises under compile."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from graphfix.rules.untraceable_function import UntraceableFunction

from graphfix.hook import load_file
from graphfix.rule import Site, apply
from graphfix.source.module import Module

SOURCE = """
import torch

def first(x: torch.Tensor) -> torch.Tensor:
    return x[: int(x.sum().item())].clone()

def f(x):
    return first(x + 1) * 2
"""


def test_a_wrong_assumption_raises(tmp_path: Path) -> None:
    path = tmp_path / "outlined.py"
    module = Module(str(path), SOURCE)
    site = Site(module, module.tree.body[1].body[0])  # type: ignore[attr-defined]
    (rewrite,) = filter(None, UntraceableFunction().rewrites(site))
    path.write_text(apply(SOURCE, rewrite.edits), encoding="utf-8")
    compiled = torch.compile(load_file("outlined", str(path)).f, backend="aot_eager", fullgraph=True)
    assert compiled(torch.zeros(3)).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="graphfix: the result of first is not like x"):
        compiled(torch.full((3,), -0.5))
