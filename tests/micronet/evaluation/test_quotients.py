"""Exact quotients are those of the CPU, bit for bit, whatever stands on either side."""

import pytest
import torch

from micronet.evaluation.quotients import with_exact_quotients
from micronet.graph.interpret import interpret
from micronet.graph.ir import Node, Ref
from tests.micronet.analysis.graphs import X, graph, node

aten = torch.ops.aten
SEVENS = torch.full((), 7.0, dtype=torch.float64)
QUOTIENTS = [
    node("y", aten.div.Tensor, X, 7.0),
    node("y", aten.div.Tensor, X, Ref("seven")),
    node("y", aten.div.Tensor, X, X),
    node("y", aten.div.Tensor, 3.0, X),
    node("y", aten.div.Scalar, X, 7),
    node("y", aten.hardsigmoid.default, X),
    node("y", aten.hardswish.default, X),
    node("y", aten.mean.default, X),
    node("y", aten.mean.dim, X, (2, 3), True),
    node("y", aten.mean.dim, X, (1,)),
    node("y", aten.adaptive_avg_pool2d.default, X, (1, 1)),
    node("y", aten.adaptive_avg_pool2d.default, X, (4, 4)),
]


@pytest.mark.parametrize("quotient", QUOTIENTS, ids=lambda quotient: f"{quotient.target}{quotient.args[1:]}")
def test_they_are_those_of_the_cpu(quotient: Node) -> None:
    plain = graph(quotient, weights={"seven": SEVENS})
    images = torch.randint(-128, 128, (64, 4, 6, 6), generator=torch.Generator().manual_seed(0)).double() / 16 + 0.01
    exact = with_exact_quotients(plain)
    assert exact.nodes[-1].target is not plain.nodes[-1].target
    assert torch.equal(interpret(exact, images), interpret(plain, images))
