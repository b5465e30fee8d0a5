"""Both values of a conditional expression are witnessed, though they stand on one line."""

from __future__ import annotations

from pathlib import Path

from graphfix.apply.repair import Policy, Repair
from graphfix.model import Arm, Target
from graphfix.registry import all_rules
from graphfix.scan.dynamic import Options

SOURCE = """import torch
import graphfix

def f(x, c):
    {line}
    return y + 1

@graphfix.target
def t():
    yield from [{calls}]
"""
ONE_WAY = "graphfix.Call(f, torch.ones(3), torch.ones(3))"
BOTH_WAYS = f"{ONE_WAY}, graphfix.Call(f, torch.ones(3), -torch.ones(3))"


def arm_of(tmp_path: Path, line: str, calls: str) -> tuple[Arm | None, str]:
    path = tmp_path / "model.py"
    path.write_text(SOURCE.format(line=line, calls=calls))
    rules = [rule for rule in all_rules() if rule.code == "GF208"]
    repair = Repair(Options(rules, device="cpu"), Policy((tmp_path,), "aot_eager"), lambda *_: None)
    repair.run([Target(f"{path}::t", "t")])
    text = repair.sources.module(str(path)).text
    return (repair.kept[0].arm if repair.kept else None), text


def test_the_value_that_no_call_takes_is_seen_with_other_inputs(tmp_path: Path) -> None:
    arm, text = arm_of(tmp_path, "y = x * 2 if c.sum() > 0 else x - 1", ONE_WAY)
    assert "torch.where(c.sum() > 0, x * 2, x - 1)" in text
    assert arm is not None
    assert (arm.reached, arm.mutated) == ((True, True), (False, True))


def test_a_value_of_another_dtype_takes_the_dual_form_or_none(tmp_path: Path) -> None:
    _, text = arm_of(tmp_path, "y = x.double() if c.sum() > 0 else x", BOTH_WAYS)
    assert "torch.where" not in text
