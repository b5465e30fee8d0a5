"""A target's calls are the same however often they are built, on whatever device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import graphfix

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_a_module_that_outlives_the_calls_does_not_keep_their_arguments_on_the_cpu() -> None:
    from graphfix.dynamo.load import build_calls

    net = torch.nn.Linear(2, 2)

    def target() -> Iterator[graphfix.Call]:
        yield graphfix.Call(net, torch.ones(1, 2))
        yield graphfix.Call(net.forward, torch.ones(3, 2))

    for _ in range(2):
        assert [call.args[0].device.type for call in build_calls(target, "meta")] == ["meta", "meta"]
    assert net.weight.device.type == "meta"


def test_a_target_that_places_its_tensors_itself_is_left_alone() -> None:
    from graphfix.dynamo.load import build_calls

    net = torch.nn.Linear(2, 2, device="meta")

    def target() -> Iterator[graphfix.Call]:
        yield graphfix.Call(net, torch.ones(1, 2))

    (call,) = build_calls(target, "meta")
    assert call.args[0].device.type == "cpu"
