"""Arguments are restored in place, so that what was recorded for their addresses stays valid."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.torch


class Cache:
    def __init__(self, keys: Any) -> None:
        self.keys, self.length = keys, 0


def test_tensors_keep_their_addresses_and_get_their_values_back() -> None:
    import torch

    from graphfix.dynamo.inputs import Inputs
    from graphfix.model import Call

    inputs = Inputs(Call(print, Cache(torch.zeros(2)), y=[torch.ones(3)]))
    (cache,), named = inputs.fresh()
    address = cache.keys.data_ptr()
    cache.keys.add_(5)
    named["y"][0].zero_()
    (again,), more = inputs.fresh()
    assert again.keys.data_ptr() == address
    assert again.keys.tolist() == [0, 0]
    assert more["y"][0].tolist() == [1, 1, 1]
    assert not inputs.copied


def test_swapped_tensors_are_copied_anew() -> None:
    import torch

    from graphfix.dynamo.inputs import Inputs
    from graphfix.model import Call

    original = Cache(torch.zeros(2))
    inputs = Inputs(Call(print, original))
    (cache,), _ = inputs.fresh()
    cache.keys = torch.cat([cache.keys, torch.ones(1)])
    (again,), _ = inputs.fresh()
    assert inputs.copied
    assert again.keys.tolist() == [0, 0]
    assert again is not original


def test_a_tensor_with_a_history_can_be_an_argument() -> None:
    import torch

    from graphfix.dynamo.inputs import Inputs
    from graphfix.model import Call

    value = torch.ones(2, requires_grad=True) * 3
    inputs = Inputs(Call(print, value))
    for _ in range(2):
        (found,), _ = inputs.fresh()
        assert found.tolist() == [3, 3]
