"""Padding in words and in numbers is one function."""

import pytest
import torch
from torch import nn

from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.transformation.explicit_padding import explicit_padding

aten = torch.ops.aten


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), ((1, 5), 2), (1, 1), ((3, 5), (2, 1)), ((2, 3), (2, 1))])
def test_words_become_numbers(padding: str, kernel: int | tuple[int, int], dilation: int | tuple[int, int]) -> None:
    module = nn.Conv2d(4, 6, kernel, padding=padding, dilation=dilation, groups=2).eval().requires_grad_(False)
    graph = capture(module, (4, 9, 9))
    explicit = explicit_padding(graph)
    assert [node.target for node in explicit.nodes] == [aten.conv2d.default]
    images = torch.randn(2, 4, 9, 9)
    assert torch.equal(interpret(explicit, images), module(images))


def test_an_even_kernel_stays_in_words() -> None:
    graph = capture(nn.Conv2d(3, 3, 2, padding="same").requires_grad_(False), (3, 8, 8))
    assert explicit_padding(graph) == graph
