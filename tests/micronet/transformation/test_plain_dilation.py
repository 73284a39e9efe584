"""Where a kernel has one element, a dilation does nothing, and no kernel of the processor is asked for it."""

import pytest
import torch
from torch import Tensor, nn

from micronet.evaluation.lowering import lower
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.transformation.plain_dilation import plain_dilation
from micronet.transformation.prepare import prepare


def dilations(graph: Graph) -> list[object]:
    return [node.args[5] for node in graph.nodes if str(node.target).startswith("aten.conv")]


@pytest.mark.parametrize(
    ("layer", "dilation"),
    [
        (nn.Conv2d(2, 3, (3, 1), stride=(1, 2), padding=1, dilation=2), (2, 1)),
        (nn.Conv2d(2, 3, (1, 3), padding=(0, 2), dilation=(3, 2)), (1, 2)),
        (nn.Conv2d(2, 4, 1, groups=2, dilation=2, bias=False), (1, 1)),
        (nn.Conv2d(2, 3, 3, dilation=2), (2, 2)),
        (nn.Conv2d(2, 3, (2, 1), padding="same", dilation=(1, 2)), (1, 1)),  # an even kernel, so it stays in words
        (nn.Conv2d(2, 3, (3, 1), padding="same", dilation=2), (2, 1)),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 3, 1, dilation=2)), (1,)),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 3, 3, dilation=2)), (2,)),
    ],
)
def test_it_is_one_along_sides_of_one_element_and_as_it_was_along_others(
    layer: nn.Module, dilation: tuple[int, ...]
) -> None:
    module = layer.eval().requires_grad_(False)
    images = torch.randn(2, 2, 8, 6)
    graph = plain_dilation(capture(module, (2, 8, 6)))
    assert dilations(graph) == [dilation]
    torch.testing.assert_close(interpret(graph, images), module(images), rtol=1e-5, atol=1e-6)
    assert plain_dilation(graph) == graph


class OwnKernel(nn.Module):
    """A kernel that is computed: only its shape is known before an image is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(x, self.weight * x.mean(), None, dilation=2)


def test_a_kernel_that_is_computed_has_sides_too() -> None:
    assert dilations(prepare(capture(OwnKernel(), (2, 8, 6)), fuse=True)) == [(2, 1)]


def test_a_narrow_image_is_run_and_ends_no_process() -> None:
    """oneDNN's own fault: side 1, dilation 2, padding 1, stride 2 and a bias, on images one pixel wide."""
    module = nn.Conv2d(2, 4, 1, stride=(1, 2), padding=1, dilation=2).eval().requires_grad_(False)
    graph = prepare(capture(module, (2, 8, 1)), fuse=False)
    assert dilations(graph) == [(1, 1)]
    images = torch.randn(2, 2, 8, 1)
    torch.testing.assert_close(lower(graph, 2).run(images), module(images), rtol=1e-5, atol=1e-6)
