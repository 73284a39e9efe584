"""What adds 0 or multiplies by 1 is left out, and nothing else is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from micronet.graph.interpret import interpret
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.idle_arithmetic import drop_idle_arithmetic
from micronet.transformation.prepare import prepare
from tests.micronet.analysis.graphs import captured, totals

SHAPE = (4, 6, 6)
N = 4 * 6 * 6


@pytest.mark.parametrize(
    ("function", "multiplications", "additions"),
    [
        (lambda x: sum([x, x, x]), 0, 2 * N),  # 0 + x + x + x
        (lambda x: 0 + x.relu() - 0, N, 0),
        (lambda x: x.relu() * 1.0 / 1, N, 0),
        (lambda x: 1 / (x.exp() + 1), N + N, N),  # exponential, reciprocal
        (lambda x: 2 / (x.exp() + 1), N + N + N, N),
        (lambda x: x.new_ones(1, 4, 1, 1) * x.relu() - x.new_zeros(6), N, 0),
        (lambda x: ((x + 0) * 1 + 0).flatten(1), 0, 0),
        (lambda x: torch.zeros_like(x) + x.relu() * torch.ones_like(x), N, 0),  # spread over the images
        (lambda x: x.relu() * torch.ones(x.shape[0], 4, 1, 1), N, 0),
    ],
)
def test_what_gives_its_operand_back_costs_nothing(
    function: Callable[[Tensor], Tensor], multiplications: int, additions: int
) -> None:
    graph = prepare(captured(function, SHAPE), fuse=False)
    assert totals(graph) == (multiplications, additions)
    torch.testing.assert_close(interpret(graph, images := torch.randn(3, *SHAPE)), function(images))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 1.5 + 1,
        lambda x: 0 - x,
        lambda x: (x * 0).relu(),
        lambda x: torch.add(x, x, alpha=1),
        lambda x: x.mean(1, keepdim=True) * x.new_ones(4, 1, 1),  # one becomes four
        lambda x: x.to(torch.int64) * 1.0,  # the numbers become floats
        lambda x: x[:1] + torch.zeros(x.shape[0], 4, 1, 1),  # one image becomes many
    ],
)
def test_what_does_something_stays(function: Callable[[Tensor], Tensor]) -> None:
    graph = fold_constants(captured(function, SHAPE))
    assert drop_idle_arithmetic(graph) == graph
