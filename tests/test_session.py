"""What compiled code may share memory with."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def recorded(*aliases: tuple[int, int]) -> dict[str, Any]:
    return {"result": {}, "parameters": "", "rng": "", "modes": "", "aliases": list(aliases)}


def test_compiled_code_may_share_less_memory_than_eager_and_no_more() -> None:
    from graphfix.dynamo.session import _difference_beside

    assert _difference_beside(recorded((0, 1)), recorded()) is None
    assert _difference_beside(recorded((0, 1)), recorded((0, 1))) is None
    assert _difference_beside(recorded(), recorded((0, 1))) == "other tensors share memory"
    assert _difference_beside(recorded((0, 1)), recorded((0, 2))) == "other tensors share memory"
