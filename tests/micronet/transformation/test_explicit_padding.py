"""Padding in words and in numbers is one function."""

import pytest
import torch
from torch import nn

from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref
from micronet.network_file import from_bytes, to_bytes
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.transformation.explicit_padding import explicit_padding
from tests.micronet.training.lessons import SHORT, digits_task

aten = torch.ops.aten


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), ((1, 5), 2), (1, 1), ((3, 5), (2, 1)), ((2, 3), (2, 1))])
@pytest.mark.parametrize("groups", [1, 2])
def test_words_become_numbers(
    padding: str, kernel: int | tuple[int, int], dilation: int | tuple[int, int], groups: int
) -> None:
    """Without groups and dilation, the words are the last argument that is given."""
    module = nn.Conv2d(4, 6, kernel, padding=padding, dilation=dilation, groups=groups).eval().requires_grad_(False)
    graph = capture(module, (4, 9, 9))
    explicit = explicit_padding(graph)
    assert [node.target for node in explicit.nodes] == [aten.conv2d.default]
    images = torch.randn(2, 4, 9, 9)
    assert torch.equal(interpret(explicit, images), module(images))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_network_with_words_is_written_and_learns(padding: str) -> None:
    """Numbers are given in pairs: a convolution takes no single one, though its default is written so."""
    module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=padding), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    with torch.no_grad():
        module(torch.zeros(1, 1, 8, 8))
        graph = explicit_padding(capture(module.eval(), (1, 8, 8)))
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(interpret(from_bytes(to_bytes(graph)), images), interpret(graph, images))
    assert fit(TrainableNetwork(graph), SHORT, digits_task())[1].images > 0


def test_an_even_kernel_pads_more_behind() -> None:
    module = nn.Conv2d(3, 3, 2, padding="same").requires_grad_(False)
    graph = capture(module, (3, 8, 8))
    assert [node.target for node in graph.nodes] == [aten.constant_pad_nd.default, aten.conv2d.default]
    assert graph.nodes[0].args[1] == (0, 1, 0, 1)
    torch.testing.assert_close(interpret(graph, images := torch.randn(2, 3, 8, 8)), module(images))
    assert explicit_padding(graph) == graph


def test_an_even_kernel_in_words_stays_so() -> None:
    """Capture leaves none; no numbers of a convolution say it."""
    nodes = (Node("y", aten.conv2d.padding, (Ref("x"), Ref("w"), None, (1, 1), "same")),)
    graph = Graph("x", (3, 8, 8), nodes, {"w": torch.ones(3, 3, 2, 2)}, "y")
    assert explicit_padding(graph) == graph
