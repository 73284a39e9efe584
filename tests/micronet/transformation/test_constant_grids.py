"""Quantized weights that are moved about or computed with stay on their grids, wherever arithmetic says they do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import micronet
from micronet.analysis.accumulators import unproven
from micronet.analysis.counts import Counts, count
from micronet.analysis.shapes import shapes
from micronet.errors import UnknownOperation
from micronet.evaluation.bit_true import check_exact
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.network_file import from_bytes, to_bytes
from micronet.transformation.prepare import prepare

SHAPE = (1, 4, 4)


class Quantized(nn.Module):
    """16 values of 4 bits, and what `made` computes of these and of weights (20, 16) of 4 bits, as `self.q` and, with a
    step for each of the filters, as `self.per_filter`."""

    def __init__(self, made: Callable[["Quantized", Tensor], Tensor]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.w = nn.Parameter(torch.randn(20, 16, generator=generator))
        self.register_buffer("mask", (torch.rand(20, 16, generator=generator) > 0.5).float())
        self.register_buffer("steps", torch.tensor([0.125, 0.25] * 10))
        self.register_buffer("zeros", torch.zeros(20, dtype=torch.int32))
        self.made = made

    @property
    def q(self) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(self.w, 0.125, 0, -8, 7)

    @property
    def per_filter(self) -> Tensor:
        return torch.fake_quantize_per_channel_affine(self.w, self.steps, self.zeros, 0, -8, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.made(self, torch.fake_quantize_per_tensor_affine(x.flatten(1), 0.25, 0, -8, 7))


def prepared(made: Callable[[Quantized, Tensor], Tensor]) -> Graph:
    """The graph of the module, which gives what the module does."""
    module = Quantized(made).eval().requires_grad_(False)
    graph = prepare(capture(module, SHAPE), fuse=True)
    x = torch.randn(3, *SHAPE)
    torch.testing.assert_close(interpret(graph, x), module(x))
    return graph


def costs(counts: Counts) -> tuple[int, int, int, int]:
    """Multiplications, weights, those that are not zero, and bits of weights and exponents, of all dot products."""
    layers = [layer for layer in counts.layers if layer.op in {"linear", "matmul", "conv2d"}]
    stored = [parameter for layer in layers for parameter in layer.parameters]
    return (
        sum(layer.operations.all_multiplications for layer in layers),
        sum(one.elements for one in stored),
        sum(one.nonzero for one in stored),
        sum(one.elements * one.bits + 8 * one.exponents for one in stored),
    )


def _both(parts: tuple[Tensor, ...], x: Tensor) -> Tensor:
    return F.linear(x, parts[0]) + F.linear(x, parts[1])


@pytest.mark.parametrize("weight", ["q", "per_filter"])
@pytest.mark.parametrize(
    "made",
    [
        lambda w, x: x @ w.t(),
        lambda w, x: x @ w.permute(1, 0),
        lambda w, x: x @ w.mT,
        lambda w, x: F.linear(x, w.view(20, 4, 4).flatten(1)),
        lambda w, x: F.conv2d(x[:, :, None, None], w[:, :, None, None]).flatten(1),
        lambda w, x: F.conv2d(x.view(-1, 1, 4, 4), w.view(20, 1, 4, 4)).flatten(1),
        lambda w, x: torch.cat([F.linear(x, w[4:]), x @ w[:4].t()], 1),
        lambda w, x: F.linear(x, w.index_select(0, torch.arange(19, -1, -1))),
        lambda w, x: _both(w.chunk(2), x),
        lambda w, x: _both(w.split([10, 10]), x),
        lambda w, x: _both(w.view(2, 10, 16).unbind(0), x),
        lambda w, x: F.linear(x, torch.cat([w[10:], w[:10]])),
    ],
)
def test_a_quantized_weight_that_is_moved_keeps_its_zeros_its_width_and_its_proof(
    weight: str, made: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """As many multiplications as weights that are not zero. Some lost their zeros and any proof; parts, a KeyError."""
    graph = prepared(lambda module, x: made(getattr(module, weight), x))
    w = getattr(Quantized(torch.add), weight)
    counts = count(graph)
    multiplications, elements, nonzero, bits = costs(counts)
    assert (multiplications, elements, nonzero) == (int(w.count_nonzero()), 320, int(w.count_nonzero()))
    layers = [layer for layer in counts.layers if layer.op in {"linear", "matmul", "conv2d"}]
    exponents = [parameter.exponents for layer in layers for parameter in layer.parameters]
    assert bits == 320 * 4 + 8 * sum(exponents)
    assert {layer.weight_bits for layer in layers} == {4}
    assert unproven(graph, shapes(graph)) == {}
    check_exact(graph)
    assert costs(count(from_bytes(to_bytes(graph)))) == (multiplications, elements, nonzero, bits)


@pytest.mark.parametrize("weight", ["q", "per_filter"])
@pytest.mark.parametrize(
    "estimated",
    [
        lambda w, q: w + (q - w).detach(),
        lambda w, q: (q - w).detach() + w,
        lambda w, q: q.detach() + w - w.detach(),
        lambda w, q: w - (w - q).detach(),
        lambda w, q: w.t() + (q.t() - w.t()),
    ],
)
def test_a_straight_through_weight_is_the_quantized_weight(
    weight: str, estimated: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Both, at 4 and at 32 bits, were stored, and the layer multiplied by 32."""

    def made(module: Quantized, x: Tensor) -> Tensor:
        w = estimated(module.w, getattr(module, weight))
        return F.linear(x, w if w.shape == (20, 16) else w.t())

    plain = prepared(lambda module, x: F.linear(x, getattr(module, weight)))
    graph = prepared(made)
    assert costs(count(graph)) == costs(count(plain))
    (one,), (other,) = ([graph.weights[name] for name in graph.formats] for graph in (graph, plain))
    assert torch.equal(one, other)


def test_a_sum_that_is_too_coarse_to_tell_points_apart_is_put_on_no_grid() -> None:
    """At 2^20 float32 has eighths: 2^20 + (0.875 - 2^20) may be any of the next points of a grid of tenths."""

    def made(module: Quantized, x: Tensor) -> Tensor:
        w = module.w + 2**20
        q = torch.fake_quantize_per_tensor_affine(w, 0.1, 0, -8, 7)
        return F.linear(x, w + (q - w).detach())

    assert not prepared(made).formats


@pytest.mark.parametrize("weight", ["q", "per_filter"])
@pytest.mark.parametrize(
    "masked",
    [
        lambda q, mask: q * mask,
        lambda q, mask: mask * q,
        lambda q, mask: q * (mask[:, :1] * torch.ones(16)),
        lambda q, mask: q.masked_fill(mask == 0, 0.0),
        lambda q, mask: torch.where(mask == 0, 0.0, q),
    ],
)
def test_a_masked_quantized_weight_stays_on_its_grid(weight: str, masked: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The mask was stored beside it, at 32 bits, and its zeros were multiplied by."""
    graph = prepared(lambda module, x: F.linear(x, masked(getattr(module, weight), module.mask)))
    module = Quantized(torch.add)
    nonzero = int(masked(getattr(module, weight), module.mask).count_nonzero())
    exponents = 1 if weight == "q" else 20
    assert costs(count(graph)) == (nonzero, 320, nonzero, 320 * 4 + exponents * 8)
    assert unproven(graph, shapes(graph)) == {}


@pytest.mark.parametrize(
    ("computed", "bits"),
    [
        (lambda m: -m.q.abs(), 4),
        (lambda m: m.q * 0.3, 32),
        (lambda m: m.q + m.w, 32),
        (lambda m: m.q - m.q.mean(1, keepdim=True), 32),
        (lambda m: torch.fake_quantize_per_tensor_affine(m.q * m.mask * 0.3, 0.25, 0, -2, 1), 2),
        (lambda m: torch.fake_quantize_per_tensor_affine(m.per_filter, 0.25, 0, -2, 1), 2),
        (lambda m: F.pad(m.q[:, 1:-1], (1, 1)), 4),
        (lambda m: F.pad(m.per_filter[:, 1:-1], (1, 1)), 4),
        (lambda m: m.q[:, :1].expand(20, 16) * m.mask, 4),
        (lambda m: torch.cat([m.q[:10], m.per_filter[10:]]), 4),
        (lambda m: torch.cat([m.q[:10], m.w[10:]]), 32),
    ],
)
def test_what_is_computed_of_a_quantized_weight_is_one_weight_and_as_wide_as_it_is(
    computed: Callable[[Quantized], Tensor], bits: int
) -> None:
    """On the grid still, or a weight like any other, and what it was computed of is not stored beside it."""
    layer = count(prepared(lambda module, x: F.linear(x, computed(module)))).layers[-1]
    (parameter,) = layer.parameters
    assert (layer.weight_bits, parameter.elements, parameter.bits) == (bits, 320, bits)


@pytest.mark.parametrize(("factor", "warnings"), [(0.3, 1), (1.0, 0)])
def test_a_score_says_which_weights_lost_their_grids(factor: float, warnings: int) -> None:
    """Once for each weight, of its last step; what lies on no grid between two values that do is no weight."""
    module = Quantized(lambda m, x: F.linear(x, m.w + (m.q - m.w)) @ (m.q * factor * 1.0)).eval().requires_grad_(False)
    told = [
        one for one in micronet.count(module, track="digits", bits=None, input_shape=SHAPE).warnings if "grid" in one
    ]
    assert len(told) == warnings
    assert all(one.startswith("'mul") and "quantize last" in one for one in told)


def test_a_weight_quantized_twice_in_one_way_is_stored_once() -> None:
    """As by a module that is used twice, and quantizes its weight each time."""
    graph = prepared(lambda module, x: F.linear(F.linear(x, module.q) @ module.q, module.q))
    assert costs(count(graph))[1] == 320


def test_a_weight_whose_steps_are_mixed_is_stored_as_it_was_and_its_parts_are_counted() -> None:
    """Rows of 80 weights out of five filters each have no step of their own; parts of these were a KeyError."""

    def made(module: Quantized, x: Tensor) -> Tensor:
        left, right = module.per_filter.reshape(4, 80).split([16, 64], 1)
        return F.linear(x, left) + F.linear(x.repeat(1, 4), right)

    counts = count(prepared(made))
    stored = [parameter for layer in counts.layers for parameter in layer.parameters if parameter.elements]
    assert [(one.elements, one.bits, one.exponents) for one in stored] == [(320, 4, 20)]
    assert costs(counts)[0] == 320
    (row,) = (layer for layer in counts.layers if layer.op == "reshape")
    assert row.shape == (4, 80)


def test_filters_that_are_parted_and_put_together_again_find_their_steps() -> None:
    whole = prepared(lambda module, x: F.linear(x, module.per_filter.view(2, 160).view(2, 10, 16).view(20, 16)))
    assert [len(grid.steps) for grid in whole.formats.values()] == [20]


def test_a_weight_that_is_spread_is_stored_once() -> None:
    counts = count(prepared(lambda module, x: F.linear(x, module.q[:1].expand(20, 16))))
    stored = [parameter for layer in counts.layers for parameter in layer.parameters if parameter.elements]
    assert [(one.elements, one.bits) for one in stored] == [(16, 4)]


@pytest.mark.parametrize("moved", [lambda w: w.t(), lambda w: w.t().contiguous()])
def test_without_values_a_moved_weight_has_its_grid_too(moved: Callable[[Tensor], Tensor]) -> None:
    for weight, steps in (("q", 1), ("per_filter", 20)):
        module = Quantized(lambda m, x, name=weight: x @ moved(getattr(m, name)))
        buffers = module.steps, module.zeros
        module.to("meta")
        module.steps, module.zeros = buffers
        graph = prepare(capture(module, SHAPE), fuse=True)
        assert [len(grid.steps) for grid in graph.formats.values()] == [steps]


def test_without_values_nobody_can_tell_whether_a_result_is_on_its_grid() -> None:
    module = Quantized(lambda m, x: F.linear(x, m.q * m.mask)).to("meta")
    with pytest.raises(UnknownOperation, match=r"mul computes with a quantized weight.*with its values"):
        prepare(capture(module, SHAPE), fuse=True)
