"""Choices by constant masks are arithmetic: the same function, counted by hand, as in the file that is exported."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.errors import NotFinite, UnknownOperation
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.jobs.artifact import check_same
from micronet.network_file import from_bytes, to_bytes
from micronet.onnx_reader import import_graph, load_model
from micronet.transformation.prepare import prepare
from tests.micronet.analysis.graphs import captured, parameters_of, totals

N = 4 * 6 * 6
SHAPE = (4, 6, 6)


class Masked(nn.Module):
    """Values chosen by a mask of truth values, 15 of 36, which is stored."""

    def __init__(self, choose: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.choose = choose
        self.register_buffer("mask", torch.ones(6, 6, dtype=torch.bool).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.choose(x, self.mask).flatten(1)


CHOICES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, int], tuple[int, int]]] = {
    # x times 21 ones of 36, plus 15 numbers of 36
    "filled": (lambda x, m: x.masked_fill(m, -1e9), (N, N), (72, 36)),
    "filled in place": (lambda x, m: x.clone().masked_fill_(m, -1e9), (N, N), (72, 36)),
    "filled with a tensor": (lambda x, m: x.masked_fill(m, torch.tensor(2.5)), (N, N), (72, 36)),
    "a number where it holds": (lambda x, m: torch.where(m, -1e9, x), (N, N), (72, 36)),
    "a number elsewhere": (lambda x, m: torch.where(m, x, 0.5), (N, N), (72, 36)),
    "a mask of each image": (lambda x, m: x.masked_fill(m.expand(x.shape[0], 1, 6, 6), -1e9), (N, N), (72, 36)),
    "filled twice": (lambda x, m: (x.masked_fill(m, 3.0) * 2).masked_fill(m, 3.0), (3 * N, 2 * N), (72, 36)),
    # x times 21 ones of 36, and nothing to add
    "zeros": (lambda x, m: x.masked_fill(m, 0), (N, 0), (36, 21)),
    # the same everywhere: no choice
    "always": (
        lambda x, m: torch.where(torch.tensor(True), x * 2, x.exp()).masked_fill(m[:1, :1], 3.0),
        (N, 0),
        (0, 0),
    ),
    # two products, their sum, and the exponentials
    "two values": (lambda x, m: torch.where(m, x, x.exp()), (3 * N, N), (72, 36)),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_by_a_constant_is_arithmetic_in_modules_and_in_files(name: str, tmp_path: Path) -> None:
    choose, operations, stored = CHOICES[name]
    module, images = Masked(choose), torch.randn(3, *SHAPE)
    graph = prepare(capture(module, SHAPE), fuse=False)
    torch.testing.assert_close(interpret(graph, images), module(images))
    assert (totals(graph), parameters_of(count(graph))) == (operations, stored)
    check_same(graph, from_bytes(to_bytes(graph)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (images,), tmp_path / "x.onnx", dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "N"}}
        )
    read = prepare(import_graph(load_model(tmp_path / "x.onnx")), fuse=False)
    torch.testing.assert_close(interpret(read, images), module(images))
    assert (totals(read), parameters_of(count(read))) == (operations, stored)


def test_a_mask_made_of_numbers_is_the_same() -> None:
    """As decoders make theirs: where a lower triangle is 0."""
    module = Masked(lambda x, _: x.masked_fill(torch.tril(torch.ones(6, 6)) == 0, -1e9).softmax(-1))
    images = torch.randn(2, *SHAPE)
    graph = prepare(capture(module, SHAPE), fuse=False)
    torch.testing.assert_close(interpret(graph, images), module(images))
    assert parameters_of(count(graph)) == (72, 36)


@pytest.mark.parametrize("choose", [lambda x, m: x.masked_fill(m, -math.inf), lambda x, m: torch.where(m, math.inf, x)])
def test_infinity_is_refused_with_what_would_be_right(choose: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(NotFinite, match=r"puts NaN or infinity where its mask is.* such as -1e9"):
        prepare(capture(Masked(choose), SHAPE), fuse=False)


def test_a_choice_by_what_the_images_are_is_none() -> None:
    with pytest.raises(UnknownOperation, match="gt"):
        count(prepare(captured(lambda x: x.masked_fill(x > 0, 0.0), SHAPE), fuse=False))


def test_a_choice_among_constants_is_a_constant() -> None:
    """With infinity, too, where it does not remain."""
    graph = prepare(captured(lambda x: x * torch.where(torch.eye(6) > 0, 0.0, -math.inf).exp(), SHAPE), fuse=False)
    assert totals(graph) == (N, 0)
