"""What counts as the state of a module."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.torch


@pytest.fixture
def state() -> Any:
    pytest.importorskip("numpy")
    import torch

    from graphfix.dynamo.record import state_of

    def of(**values: Any) -> Any:
        module = torch.nn.Module()
        for name, value in values.items():
            setattr(module, name, value)
        return state_of([module])["attributes"]

    return of


def test_a_numpy_scalar_is_the_python_number_that_it_equals(state: Any) -> None:
    import numpy as np

    assert state(hop=np.int64(4), stride=(np.int64(2),), gain=np.float64(0.5)) == state(hop=4, stride=(2,), gain=0.5)
    assert state(hop=np.int64(4)) != state(hop=5)
    assert state(hop=np.int64(4)) != state(hop=4.0)
