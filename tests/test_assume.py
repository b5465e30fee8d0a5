"""What is asked of a line is asked in the function that the line stands in."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from graphfix.model import Call

pytestmark = pytest.mark.torch

SOURCE = """
import torch

def cut(x, lengths):
    return [row[:n] for row, n in zip(x, lengths)] + list(map(lambda n: n, lengths))

def whole(x, n):
    y = x[:n]
    return y
"""


@pytest.mark.parametrize(
    ("line", "condition", "expected"),
    [
        (5, "lengths.max() == x.shape[1]", True),
        (5, "lengths.min() == x.shape[1]", False),
        (5, "unknown == 1", False),
        (8, "True", None),
    ],
)
def test_expressions_with_a_frame_of_their_own_are_not_asked(
    tmp_path: Path, line: int, condition: str, expected: bool | None
) -> None:
    import torch

    from graphfix.dynamo.assume import held

    path = tmp_path / "cutting.py"
    module = ModuleType("cutting")
    exec(compile(SOURCE, str(path), "exec"), module.__dict__)
    call = Call(module.cut, torch.ones(2, 3), torch.tensor([1, 3]))
    assert held([call], [(str(path), line, condition)]) == [expected]
