"""Activation functions spelled out in steps get their names back, and cost what they cost before."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.counts import count
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.transformation.recognize import recognize

aten = torch.ops.aten
IMAGE = (2, 3, 3)

HARD_SWISHES = {
    "x * (clip / 6)": lambda x, clip: x * (clip(x + 3) / 6),
    "(clip / 6) * x": lambda x, clip: (clip(x + 3) / 6) * x,
    "(x * clip) / 6": lambda x, clip: (x * clip(x + 3)) / 6,
    "(clip * x) / 6": lambda x, clip: (clip(x + 3) * x) / 6,
    "(x / 6) * clip": lambda x, clip: (x / 6) * clip(x + 3),
    "clip * (x / 6)": lambda x, clip: clip(x + 3) * (x / 6),
    "x * (clip * sixth)": lambda x, clip: x * (clip(x + 3) * (1 / 6)),
    "(x * clip) * sixth": lambda x, clip: x * clip(x + 3) * (1 / 6),
    "three first": lambda x, clip: x * clip(3 + x) / 6,
}
CLIPS = {
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, 0, 6),
    "clamp": lambda x: x.clamp(0, 6),
    "clamp in place": lambda x: x.clamp_(min=0.0, max=6.0),
}


class Function(nn.Module):
    """Values of `function` behind a layer, summed."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.function(self.conv(images)).flatten(1)


def _recognized(function: Callable[[Tensor], Tensor]) -> list[object]:
    """What stands between the convolution and the flattening afterwards, the function being the same."""
    graph = capture(Function(function), IMAGE)
    named = recognize(graph)
    images = 3 * torch.randn(4, *IMAGE)
    torch.testing.assert_close(interpret(named, images), interpret(graph, images))
    assert _totals(named) == _totals(graph)
    return [node.target for node in named.nodes[1:-1]]


def _totals(graph: Graph) -> tuple[int, int]:
    layers = count(graph).layers
    return (
        sum(layer.operations.all_multiplications for layer in layers),
        sum(layer.operations.all_additions for layer in layers),
    )


@pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)
@pytest.mark.parametrize("spelling", HARD_SWISHES.values(), ids=HARD_SWISHES)
def test_hard_swish(spelling: Callable[[Tensor, object], Tensor], clip: Callable[[Tensor], Tensor]) -> None:
    assert _recognized(lambda x: spelling(x, clip)) == [aten.hardswish.default]


@pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)
@pytest.mark.parametrize("sixth", [lambda x: x / 6, lambda x: x * (1 / 6)])
def test_hard_sigmoid(clip: Callable[[Tensor], Tensor], sixth: Callable[[Tensor], Tensor]) -> None:
    assert _recognized(lambda x: sixth(clip(x + 3))) == [aten.hardsigmoid.default]


@pytest.mark.parametrize("spelling", [lambda x: x * torch.sigmoid(x), lambda x: torch.sigmoid(x) * x])
def test_swish(spelling: Callable[[Tensor], Tensor]) -> None:
    assert _recognized(spelling) == [aten.silu.default]


def test_hard_swish_of_a_named_hard_sigmoid() -> None:
    assert _recognized(lambda x: F.hardsigmoid(x) * x) == [aten.hardswish.default]


def _clip_read_twice(x: Tensor) -> Tensor:
    clip = F.relu6(x + 3)
    return x * clip / 6 + clip


def _gate_read_twice(x: Tensor) -> Tensor:
    gate = torch.sigmoid(x)
    return x * gate + gate


def _shifted_read_twice(x: Tensor) -> Tensor:
    shifted = x + 3
    return x * F.relu6(shifted) / 6 + shifted


@pytest.mark.parametrize(
    "function",
    [
        _clip_read_twice,
        _gate_read_twice,
        _shifted_read_twice,
        lambda x: x * F.relu6(x + 2) / 6,
        lambda x: x * F.relu6(x + 3) / 5,
        lambda x: x * F.hardtanh(x + 3, 0, 5) / 6,
        lambda x: x * F.hardtanh(x + 3, -1, 6) / 6,
        lambda x: x * x.clamp(min=0) / 6,
        lambda x: F.relu6(torch.add(x, 3, alpha=2)),
        lambda x: 6 / (F.relu6(x + 3) + 1),
        lambda x: x * torch.sigmoid(x + 1),
        lambda x: (x + 1) * torch.sigmoid(x),
        lambda x: torch.div(x * F.relu6(x + 3), 6, rounding_mode="floor"),
    ],
)
def test_what_only_looks_like_it_stays(function: Callable[[Tensor], Tensor]) -> None:
    before = [node.target for node in capture(Function(function), IMAGE).nodes]
    assert [node.target for node in recognize(capture(Function(function), IMAGE)).nodes] == before


def test_the_input_of_a_swish_may_have_other_readers() -> None:
    assert _recognized(lambda x: x * torch.sigmoid(x) + x) == [aten.silu.default, aten.add.Tensor]
