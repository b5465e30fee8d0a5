"""The programs of tests/generality: what each must be, and three of them run. `generality/run.py` runs them all."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent / "generality"


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generality_run", HERE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


run = _runner()


def test_there_are_ten_programs_of_every_family_of_breaks() -> None:
    names = [path.name for path in run.programs([])]
    assert {
        family: sum(name.startswith(family) for name in names) >= 10 for family in ("gf1", "gf2", "gf3", "gf4", "gf5")
    } == (dict.fromkeys(("gf1", "gf2", "gf3", "gf4", "gf5"), True))


@pytest.mark.parametrize("path", run.programs([]), ids=lambda path: path.stem)
def test_a_program_says_what_it_is_and_yields_calls(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert run.docstring(path)
    targets = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    target = next(node for node in targets if ast.unparse(node.decorator_list[0]).endswith("target"))
    yields = [node for node in ast.walk(target) if isinstance(node, ast.Yield)]
    looped = any(isinstance(node, ast.For) for node in ast.walk(target))
    assert len(yields) >= 2 or looped


@pytest.mark.torch
@pytest.mark.parametrize("name", ["gf3_01", "gf3_09"])
def test_a_program_is_repaired(name: str) -> None:
    (path,) = run.programs([name])
    found = run.run(path)
    assert found.repaired, found


@pytest.mark.torch
def test_what_nobody_can_repair_stays_as_it_is() -> None:
    (path,) = run.programs(["gf2_12"])
    found = run.run(path)
    assert found.hopeless
    assert found.rules == ()
    assert found.breaks == (1, 1)
    assert "GB0170" in found.stays


def test_a_failed_run_is_no_success() -> None:
    (path,) = run.programs(["gf2_12"])
    assert not run.row(path, {"failed": "no answer in 1 s"}, None).repaired
