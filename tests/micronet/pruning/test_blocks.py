"""Which layers give the answers."""

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from micronet.graph.capture import capture
from micronet.pruning.blocks import find_blocks, last_blocks


@pytest.mark.parametrize(
    ("function", "last"),
    [
        (lambda net, x: net.b(net.a(x)).flatten(1) * 2 + 1, {"b"}),
        (lambda net, x: net.a(x).mean((2, 3)) + net.b(x).relu().mean((2, 3)), {"a", "b"}),
        (lambda net, x: net.c(net.a(x)).flatten(1), set()),  # a depthwise convolution, which is not pruned
        (lambda net, x: net.a(x).flatten(1).softmax(1), {"a"}),
    ],
)
def test_last_are_the_layers_that_give_the_answers(
    function: Callable[[nn.Module, Tensor], Tensor], last: set[str]
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, groups=4)

        def forward(self, x: Tensor) -> Tensor:
            return function(self, x)

    graph = capture(Net(), (4, 6, 6))
    assert last_blocks(graph, find_blocks(graph)[0]) == last
