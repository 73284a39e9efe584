"""What optimize has no choices for is refused by its name, with what would be right."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micronet.errors import SettingsError
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.optimization.quantizable_layers import quantizable_layers
from micronet.transformation.prepare import prepare
from tests.micronet.networks import IMAGE

Forward = Callable[["Body", Tensor], Tensor]


class Body(nn.Module):
    """Some layer of 4 channels, and a classifier."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.middle = forward
        self.rows, self.one = nn.Conv1d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.matrix = nn.Parameter(torch.randn(6, 6))
        self.classes = nn.Linear(144, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.middle(self, x).flatten(1))


REFUSED: dict[str, tuple[Forward, str]] = {
    "one dimension": (
        lambda m, x: m.rows(x.flatten(2)),
        "rows is a convolution in one dimension; write it as one in two",
    ),
    "attention": (lambda m, x: x @ x.transpose(2, 3), "matmul multiplies two computed values, as attention does"),
    "a matrix": (lambda m, x: x @ m.matrix, "matmul is a product with a matrix; write it as a linear layer"),
    "shared": (lambda m, x: m.one(m.one(x).relu()), r"one shares one\.weight with one\.conv2d; give each its own"),
    "computed": (lambda m, x: F.conv2d(x, m.one.weight * x.mean()), r"conv2d has weights \(mul\) that are computed"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_weights_of_its_own_to_choose_says_why(kind: str) -> None:
    forward, words = REFUSED[kind]
    graph = prepare(capture(Body(forward).eval().requires_grad_(False), IMAGE), fuse=True)
    with pytest.raises(SettingsError, match=f"optimize chooses the weights of .*, and {words}"):
        quantizable_layers(graph)


def test_weights_on_a_grid_are_chosen_already() -> None:
    graph = prepare(capture(Body(lambda m, x: m.one(x)).eval().requires_grad_(False), IMAGE), fuse=True)
    assert len(quantizable_layers(graph)) == 2
    with pytest.raises(
        SettingsError, match=r"one has weights \(one\.weight\) on a grid; start from the network before"
    ):
        quantizable_layers(replace(graph, formats={"one.weight": fixed_point(8, (4,))}))
