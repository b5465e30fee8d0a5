"""Compiled code draws the numbers that eager code draws, so that outputs can be compared."""

from __future__ import annotations

import pytest
import torch

from graphfix.dynamo import capture

pytestmark = pytest.mark.torch


def noise_like_a_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    y = torch.nn.functional.linear(x, weight).transpose(1, 2).contiguous()
    return y + torch.randn_like(y) * 0.5


def noise_like_a_view(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    y = (x @ weight.t() * 2).transpose(1, 2)
    return torch.rand_like(y) + torch.randn_like(y.sum(-1, keepdim=True))


@pytest.mark.parametrize("function", [noise_like_a_linear, noise_like_a_view])
def test_noise_is_the_same_under_inductor(function: object) -> None:
    x, weight = torch.randn(2, 5, 6), torch.randn(7, 6)
    torch._dynamo.reset()
    torch.manual_seed(0)
    expected, state = function(x, weight), torch.get_rng_state()
    torch.manual_seed(0)
    with capture.same_random_numbers():
        found = torch.compile(function)(x, weight)
    torch.testing.assert_close(found, expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_layouts_of_others_are_left_alone_afterwards() -> None:
    from torch._inductor import lowering

    before = dict(lowering._maybe_layout_constraints)
    with capture.same_random_numbers():
        assert lowering._maybe_layout_constraints != before
    assert lowering._maybe_layout_constraints == before
