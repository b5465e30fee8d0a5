"""A length that callers know: handed in from another file, for each caller on its own, and asserted on the device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from graphfix.apply.repair import Policy, Repair
from graphfix.model import Target
from graphfix.registry import all_rules
from graphfix.scan.dynamic import Options

pytestmark = pytest.mark.torch

MASKS = """import torch


def pad_mask(lengths, max_len=0):
    max_len = max_len if max_len > 0 else lengths.max().item()
    return torch.arange(max_len)[None] >= lengths[:, None]
"""
MODEL = """import torch
import graphfix
from masks import pad_mask


def f(x, lengths):
    keep = ~pad_mask(lengths)
    x = x * keep
    y = torch.cat([x, x], dim=1)
    twice = 2 * lengths
    keep = ~pad_mask(twice)
    return y * keep


@graphfix.target
def t():
    yield graphfix.Call(f, torch.ones(2, 5), torch.tensor([5, 3]))
    yield graphfix.Call(f, torch.ones(2, 7), torch.tensor([2, 7]))
"""


def test_each_call_hands_in_its_own_dimension(tmp_path: Path) -> None:
    (tmp_path / "masks.py").write_text(MASKS)
    (tmp_path / "model.py").write_text(MODEL)
    rules = [rule for rule in all_rules() if rule.code == "GF401"]
    repair = Repair(Options(rules, device="cpu"), Policy((tmp_path,), "aot_eager"), lambda *_: None)
    (judged,) = repair.run([Target(f"{tmp_path / 'model.py'}::t", "t")])
    assert len(repair.kept) == 2
    assert judged.clean
    assert judged.verdict is not None
    assert judged.verdict.ok
    assert repair.sources.module(str(tmp_path / "masks.py")).text == MASKS
    text = repair.sources.module(str(tmp_path / "model.py")).text
    assert "pad_mask(lengths, max_len=x.shape[1] if torch.compiler.is_compiling() else 0)" in text
    assert "pad_mask(twice, max_len=y.shape[1] if torch.compiler.is_compiling() else 0)" in text
    (tmp_path / "model.py").write_text(text)
    run = "import torch, model\ntorch.compile(model.f, backend='aot_eager')(torch.ones(2, 5), torch.tensor([4, 3]))"
    done = subprocess.run(
        [sys.executable, "-c", run],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "graphfix: lengths.max() is not x.shape[1]" in done.stderr.splitlines()[-1]
