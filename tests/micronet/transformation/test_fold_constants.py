"""What no image changes becomes a weight."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import micronet
from micronet.analysis.counts import count
from micronet.errors import NotFinite, UnknownOperation
from micronet.evaluation.lowering import lower
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point, on_grid
from micronet.graph.interpret import interpret
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_weights
from tests.micronet.analysis.graphs import Apply, captured
from tests.micronet.networks import IMAGE, images

aten = torch.ops.aten


class Standardized(nn.Module):
    """Weights that are computed from weights, a constant made of literals only, and one that depends on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight - self.weight.mean()) * torch.tensor(2.0)
        offset = torch.ones(3) * torch.tensor(0.5)
        return nn.functional.conv2d(x, weight).mean((2, 3)) + offset + torch.zeros(x.shape[0], 3)


def test_constants_are_folded_and_literals_stay_literals() -> None:
    graph = capture(Standardized(), IMAGE)
    folded = fold_constants(graph)
    assert torch.equal(interpret(folded, images(3)), interpret(graph, images(3)))
    zeros = [aten.sym_size.int, aten.expand.default]  # as large as the batch
    assert [node.target for node in folded.nodes] == [
        *zeros[:1], aten.conv2d.default, aten.mean.dim, aten.add.Tensor, *zeros[1:], aten.add.Tensor
    ]  # fmt: skip
    parameters = set(folded.weights) - folded.literals
    assert [tuple(folded.weights[name].shape) for name in parameters] == [(3, 4, 1, 1)]
    literals = [folded.weights[name].tolist() for name in folded.literals]
    assert sorted(literals, key=str) == [0.0, [0.5] * 3]  # the number that is spread, and what comes of the others


@pytest.mark.parametrize("bits", [None, {}])
def test_a_mask_with_infinity_is_refused_with_what_would_be_right_before_anything_is_counted(
    bits: dict[str, int] | None,
) -> None:
    """Counted with widths it was a NumericalError, without any it was said only when written."""

    def answers(x: Tensor) -> Tensor:
        return (x[:, 0] @ (torch.full((8, 8), -math.inf).triu(1) + x[:, 0]).softmax(-1)).flatten(1)

    with pytest.raises(NotFinite, match=r"triu computes of constants holds NaN or infinity.* such as -1e9"):
        micronet.count(Apply(answers), track="digits", bits=bits)


def test_infinity_among_constants_that_nobody_stores_does_no_harm() -> None:
    """What a softmax leaves of it, for example, is a zero."""
    graph = captured(lambda x: x @ torch.full((4, 4), -math.inf).triu(1).softmax(-1), (3, 4, 4))
    (weight,) = fold_constants(graph).weights.values()
    assert weight.isfinite().all()


@pytest.mark.parametrize(
    ("table", "stored"),
    [
        (lambda: torch.arange(6.0) / 6, 6),  # places, as numbers that values are multiplied with
        (lambda: torch.eye(6), 36),
        (lambda: torch.zeros(6), 0),
        (lambda: torch.full((6,), 0.5) + torch.tensor(1.0), 0),
        (lambda: torch.ones(6, 6).tril(), 36),
    ],
)
def test_what_is_made_of_nothing_is_stored_where_it_is_no_single_number(
    table: Callable[[], Tensor], stored: int
) -> None:
    class Table(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * table()).mean((2, 3))

    folded = fold_constants(capture(Table(), IMAGE))
    kept = [weight.numel() for name, weight in folded.weights.items() if name not in folded.literals]
    assert sum(kept) == stored


def test_what_is_computed_of_a_given_quantized_weight_and_lies_on_no_grid_is_a_weight_like_any_other() -> None:
    graph = replace(capture(Standardized(), IMAGE), formats={"weight": fixed_point(8, (4,))})
    folded = fold_constants(graph)
    assert not folded.formats
    assert folded.weights.keys() == fold_constants(replace(graph, formats={})).weights.keys()


def test_folding_twice_changes_nothing_more() -> None:
    once = fold_constants(capture(Standardized(), IMAGE))
    twice = fold_constants(once)
    assert twice.nodes == once.nodes
    assert twice.weights.keys() == once.weights.keys()


@pytest.mark.parametrize("steps", ["one", "per channel", "computed"])
def test_a_weight_quantized_in_training_stays_quantized(steps: str) -> None:
    per_channel = steps != "one"

    class Quantized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(-1, 1, 4 * 64).view(4, 64))
            self.register_buffer("steps", torch.tensor([0.125, 0.25, 0.5, 0.1]))
            self.register_buffer("zero_points", torch.zeros(4, dtype=torch.int32))

        def forward(self, x: Tensor) -> Tensor:
            if per_channel:
                places = self.steps * 1.0 if steps == "computed" else self.steps
                weight = torch.fake_quantize_per_channel_affine(self.weight, places, self.zero_points, 0, -8, 7)
            else:
                weight = torch.fake_quantize_per_tensor_affine(self.weight, 0.125, 0, -8, 7)
            return nn.functional.linear(x.flatten(1), weight)

    module = Quantized().eval()
    graph = fold_constants(capture(module, (1, 8, 8)))
    [(name, grid)] = graph.formats.items()
    assert (grid.bits, grid.axis, len(grid.steps)) == (4, 0, 4) if per_channel else (4, None, 1)
    assert [node.target for node in graph.nodes][-1] is torch.ops.aten.linear.default
    assert torch.equal(on_grid(graph.weights[name], grid), graph.weights[name])
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(interpret(graph, x), module(x))
    assert count(graph).quantized


class Factors(nn.Module):
    """A weight (10, 64) that `made` computes from factors, a scale, and a weight of its size."""

    def __init__(self, made: Callable[["Factors"], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Parameter(torch.randn(10, 2)), nn.Parameter(torch.randn(2, 64))
        self.scale, self.full = nn.Parameter(torch.ones(1)), nn.Parameter(torch.randn(10, 64))
        self.register_buffer("zero_points", torch.zeros(10, dtype=torch.int32))
        self.made = made

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.flatten(1), self.made(self))


@pytest.mark.parametrize(
    ("made", "bits"),
    [
        (lambda m: m.a @ m.b, 32),
        (lambda m: m.scale * ((m.a * 2) @ m.b + 1), 32),
        (lambda m: torch.cat(torch.split(m.a @ m.b, 5), 0), 32),
        (lambda m: torch.cat(torch.split(m.full, 5)[::-1], 0), 32),
        (lambda m: m.scale.expand(10, 64) * torch.ones(10, 64), 32),
        (lambda m: m.full - m.full.mean(1, keepdim=True).expand(10, 64), 32),
        (lambda m: m.a.flatten().index_select(0, torch.arange(640) % 20).reshape(10, 64), 32),  # a codebook
        (lambda m: torch.fake_quantize_per_tensor_affine(m.a @ m.b, 0.125, 0, -8, 7), 4),
        (
            lambda m: torch.fake_quantize_per_channel_affine(m.full, m.scale.expand(10), m.zero_points, 0, -8, 7),
            4,
        ),
    ],
)
def test_what_a_layer_multiplies_by_is_stored_however_it_is_computed(
    made: Callable[[Factors], Tensor], bits: int
) -> None:
    module = Factors(made).eval().requires_grad_(False)
    graph = fold_constants(capture(module, (1, 8, 8)))
    (parameter,) = [parameter for layer in count(graph).layers for parameter in layer.parameters]
    assert (parameter.elements, parameter.bits) == (640, bits)
    rounded = quantize_weights(graph, Quantization(9, 12)) if bits == 32 else graph
    (weight,) = rounded.weights.values()
    assert weight.unique().numel() <= 512, "the product is on the grid, not its factors"
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(interpret(graph, x), module(x))
    torch.testing.assert_close(lower(graph, 2).run(x), module(x))


def test_random_numbers_are_no_constants() -> None:
    class Chance(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) @ torch.rand(16, 2)

    with pytest.raises(UnknownOperation, match="random"):
        fold_constants(capture(Chance(), (1, 4, 4)))
