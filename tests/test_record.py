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
        found = state_of([module])
        return {**found["attributes"], **found["kept"]}

    return of


class Meter:
    def __init__(self, total: object, count: int = 0) -> None:
        self.total, self.count = total, count


def test_a_numpy_scalar_is_the_python_number_that_it_equals(state: Any) -> None:
    import numpy as np

    assert state(hop=np.int64(4), stride=(np.int64(2),), gain=np.float64(0.5)) == state(hop=4, stride=(2,), gain=0.5)
    assert state(hop=np.int64(4)) != state(hop=5)
    assert state(hop=np.int64(4)) != state(hop=4.0)


def test_what_an_object_keeps_counts_but_for_the_value_of_a_float(state: Any) -> None:
    import torch

    assert state(meter=Meter(0.5, 2)) == state(meter=Meter(0.25, 2)), "floats may be times"
    assert state(meter=Meter(0.5, 2)) != state(meter=Meter(0.5, 3))
    assert state(meter=Meter(0.5)) != state(meter=Meter(torch.tensor(0.5)))
    assert state(meter=Meter) == {}, "a class is no object that a module keeps"
