"""Proofs of accumulator widths, against every extreme input and real two's complement."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from micronet.analysis.accumulators import accumulator_bits
from micronet.analysis.counts import count
from micronet.analysis.shapes import shapes
from micronet.evaluation.bit_true import check_exact, widen
from micronet.graph.grid import Grid, fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref
from tests.micronet.analysis.graphs import X, aten, graph, node, quantizer, weigh

Q = Ref("q")


def layer(
    weight: Tensor, low: int, high: int, *, bias: Tensor | None = None, step: float = 1.0, grid: Grid | None = None
) -> Graph:
    """A linear layer of integers, whose inputs are integers from `low` to `high` times `step`."""
    put = node("q", aten.fake_quantize_per_tensor_affine.default, X, step, 0, low, high)
    weights = {"w": weight.float()} | ({} if bias is None else {"b": bias.float()})
    refs = [Ref(name) for name in weights]
    formats = {"w": grid or fixed_point(8, (0,))}
    return graph(
        put, node("y", aten.linear.default, Q, *refs), weights=weights, formats=formats, shape=weight.shape[1:]
    )


def proofs(of: Graph) -> dict[str, list[int]]:
    return dict(accumulator_bits(of, shapes(of)))


def extremes(row: list[int], low: int, high: int, bias: int) -> tuple[int, int]:
    """Least and greatest sum over every input whose elements are at their ends."""
    sums = [sum(w * a for w, a in zip(row, a, strict=True)) + bias for a in product((low, high), repeat=len(row))]
    return min(sums), max(sums)


def wrapped(value: int, bits: int) -> int:
    """The integer of `bits` bits of two's complement that an overflow leaves."""
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


cases = st.tuples(
    st.lists(st.lists(st.integers(-9, 9), min_size=5, max_size=5), min_size=1, max_size=3),
    st.sampled_from([(-8, 7), (0, 15), (-128, 127), (-3, 2), (0, 1)]),
    st.lists(st.integers(-40, 40), min_size=3, max_size=3),
    st.randoms(use_true_random=False),
)


@settings(max_examples=150)
@given(cases)
def test_sums_of_any_input_are_exact_at_the_proven_width_though_they_wrap_on_the_way(case: tuple) -> None:  # type: ignore[type-arg]
    rows, (low, high), biases, random = case
    biases = biases[: len(rows)]
    bits = proofs(layer(torch.tensor(rows), low, high, bias=torch.tensor(biases)))["y"]
    assert len(bits) == len(rows)
    for row, bias, width in zip(rows, biases, bits, strict=True):
        if not any(row):  # nothing is summed, and the bias is all there is
            assert width == 1
            continue
        least, greatest = extremes(row, low, high, bias)
        assert wrapped(least, width) == least
        assert wrapped(greatest, width) == greatest
        less = width - 1  # for one of these two inputs, one bit less is wrong
        assert not least == greatest == 0 or width == 1
        assert width == 1 or (wrapped(least, less), wrapped(greatest, less)) != (least, greatest)
        assert width <= (sum(map(abs, row)) * max(-low, high) + abs(bias)).bit_length() + 1
        image = [random.choice((low, high, random.randint(low, high))) for _ in row]
        terms = [w * a for w, a in zip(row, image, strict=True)] + [bias]
        random.shuffle(terms)
        sum_ = 0
        for term in terms:
            sum_ = wrapped(sum_ + wrapped(term, width), width)
        assert sum_ == sum(terms)


@pytest.mark.parametrize(
    ("row", "ends", "bits"),
    [
        ([1, 1, 1, 1], (0, 15), 7),  # 60 <= 63
        ([1, 1, 1, 1, 1], (0, 15), 8),  # 75 > 63
        ([1, -1, 1, -1], (-8, 7), 6),  # from -30 to 30, though sum|w| max|a| is 4 * 8 = 32 > 31
        ([1, -1, 1, -1], (0, 15), 6),  # from -30 to 30
        ([1, -1, 1, -1, 1], (0, 15), 7),  # up to 45
        ([-1, -1], (0, 16), 6),  # -32 fits 6 bits
        ([1] * 8, (-8, 7), 7),  # from -64, which fits, to 56
        ([-1] * 8, (-8, 7), 8),  # 64 is reached, and 64 > 63
        ([0, 0, 0], (-128, 127), 1),
        ([127], (-128, 127), 15),  # 16256 < 2^14
    ],
)
def test_proofs_by_hand(row: list[int], ends: tuple[int, int], bits: int) -> None:
    assert proofs(layer(torch.tensor([row]), *ends))["y"] == [bits]


def test_the_worst_image_of_each_filter_overflows_one_bit_less() -> None:
    """Real convolutions: an image at its upper end where the weight is above zero and at its lower end elsewhere."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randint(-7, 8, (40, 27), generator=generator)
    for low, high in ((-128, 127), (0, 255), (-12, 127)):
        images = torch.where(weight > 0, high, low)
        sums = (images * weight).sum(1).tolist()
        opposite = (torch.where(weight > 0, low, high) * weight).sum(1).tolist()
        for end, other, bits in zip(sums, opposite, proofs(layer(weight, low, high))["y"], strict=True):
            assert (wrapped(end, bits), wrapped(other, bits)) == (end, other)
            assert (wrapped(end, bits - 1), wrapped(other, bits - 1)) != (end, other)


def test_a_real_convolution_sums_exactly_in_the_proven_bits() -> None:
    """int8 addition in numpy, which wraps, for a layer proven to need 8 bits."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-1, 2, (6, 12), generator=generator)
    bits = proofs(layer(weight, -8, 7))["y"]
    assert max(bits) == 8
    images = torch.randint(-8, 8, (100, 12), generator=generator)
    exact = images.numpy() @ weight.numpy().T
    sums = np.zeros((100, 6), dtype=np.int8)
    for term in range(12):
        sums = sums + (images[:, term, None].numpy() * weight.numpy()[None, :, term]).astype(np.int8)
    assert (sums == exact).all()


def test_each_filter_has_its_own_proof_and_its_own_grid() -> None:
    weight = torch.tensor([[1.0, 1, 1, 1], [0.5, 0.5, 0.5, 0.5]])
    grid = fixed_point(8, (0, 2), axis=0)  # steps 1 and 1/4: integers 1 and 2
    assert proofs(layer(weight, 0, 15, grid=grid))["y"] == [7, 8]
    # along the inputs, products lie on different grids and nothing is proven
    square = torch.ones(2, 2)
    assert "y" in proofs(layer(square, 0, 15, grid=fixed_point(8, (0, 2), axis=0)))
    assert "y" not in proofs(layer(square, 0, 15, grid=fixed_point(8, (0, 2), axis=1)))


def test_the_columns_of_a_matrix_are_its_filters() -> None:
    weight = torch.tensor([[1.0, 0.5], [1.0, 0.5], [1.0, 0.5], [1.0, 0.5]])
    put = node("q", aten.fake_quantize_per_tensor_affine.default, X, 1.0, 0, 0, 15)

    def of(axis: int) -> dict[str, list[int]]:
        points = (0, 2) if axis else (0, 0, 0, 0)
        formats = {"w": fixed_point(8, points, axis=axis)}
        step = node("y", aten.matmul.default, Q, Ref("w"))
        return proofs(graph(put, step, weights={"w": weight}, formats=formats, shape=(4,)))

    assert of(axis=1) == {"y": [7, 8]}
    assert of(axis=0) == {}


def test_a_bias_counts_in_units_of_the_products_or_in_its_own_where_these_are_finer() -> None:
    weight, grid = torch.full((1, 4), 0.25), fixed_point(8, (2,))  # integers 1
    # steps 1/4 * 1/2: a bias of 0.5 is 4, and 60 + 4 = 64 > 63
    assert proofs(layer(weight, 0, 15, bias=torch.tensor([0.375]), step=0.5, grid=grid))["y"] == [7]
    assert proofs(layer(weight, 0, 15, bias=torch.tensor([0.5]), step=0.5, grid=grid))["y"] == [8]
    # float32's 0.3 is 5033165 / 2^24, in products 5033165 / 2^21: 60 * 2^21 + 5033165 = 130862285 > 2^26
    assert proofs(layer(weight, 0, 15, bias=torch.tensor([0.3]), step=0.5, grid=grid))["y"] == [28]
    # 2^-40 needs units so fine that 32 bits do not hold the products
    assert proofs(layer(weight, 0, 15, bias=torch.tensor([2.0**-40]), step=0.5, grid=grid))["y"] == [32]


@pytest.mark.parametrize("point", [0, 100])
def test_a_filter_without_weights_sums_nothing_whatever_its_bias_and_its_grid(point: int) -> None:
    weight = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
    grid = fixed_point(8, (point, 0), axis=0)
    # 3 * 15 + 17 = 62 < 2^6
    assert proofs(layer(weight, 0, 15, bias=torch.tensor([0.3, 17]), grid=grid))["y"] == [1, 7]
    check_exact(layer(weight, 0, 15, bias=torch.tensor([0.3, 17]), grid=grid))


@pytest.mark.parametrize("magnitude", [2**24, 2**27, 2**29])
def test_at_most_32_bits(magnitude: int) -> None:
    wide = fixed_point(32, (0,))
    bits = proofs(layer(torch.tensor([[-magnitude]]), -8, 7, grid=wide))["y"]
    assert bits == [min((8 * magnitude).bit_length() + 1, 32)]


KEPT = [
    [node("v", aten.relu.default, Q)],
    [node("v", aten.view.default, Q, (-1, 6))],
    [node("n", aten.sym_size.int, Q, 0), node("v", aten.view.default, Q, (Ref("n"), 4, 6, 6))],
    [node("v", aten.max_pool2d.default, Q, (1, 1))],
    [node("v", aten.constant_pad_nd.default, Q, (0, 0), 0.0)],
    [node("v", aten.index_select.default, Q, 1, Ref("order"))],
    [node("v", aten.slice.Tensor, Q, 1, 0, 2)],
    [node("v", aten.constant_pad_nd.default, Q, (0, 1), 100.0), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [node("v", aten.pad.default, Q, (0, 1), "constant", 100.0), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [node("v", aten.pad.default, Q, (0, 1), value=100.0), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [quantizer("p", "x", 8), node("v", aten.cat.default, (Q, Ref("p")), 1)],
    [quantizer("p", "x", 8), node("v", aten.maximum.default, Q, Ref("p"))],
]
LOST = [
    [node("v", aten.add.Tensor, Q, Q)],
    [node("v", aten.abs.default, Q)],
    [node("v", aten.avg_pool2d.default, Q, (1, 1))],
    [node("v", aten.clamp.default, Q, 100.0, 200.0)],
    [node("v", aten.maximum.default, Q, Ref("large"))],
    [node("v", aten.maximum.default, Q, X)],
    [node("v", aten.minimum.default, X, Q)],
    [node("v", aten.cat.default, (Q, X), 1)],
    [node("v", aten.cat.default, (Q, Ref("large")), 0)],
    [node("v", aten.constant_pad_nd.default, Q, (0, 1), 0.5), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [node("v", aten.pad.default, Q, (0, 1), "constant", -1.5), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [node("v", aten.pad.default, Q, (0, 1), value=2.0**24 + 1), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [node("v", aten.pad.default, Q, (0, 1), value=-math.inf), node("z", aten.slice.Tensor, Ref("v"), 3, 0, 6)],
    [node("v", aten.relu.default, X)],
    [node("v", aten.fake_quantize_per_tensor_affine.default, X, 0.3, 0, 0, 15)],
    [node("v", aten.fake_quantize_per_tensor_affine.default, X, 1.0, 3, 0, 15)],
]


@pytest.mark.parametrize(("steps", "proven"), [*((s, True) for s in KEPT), *((s, False) for s in LOST)])
def test_a_proof_follows_values_only_through_what_keeps_them(steps: list[Node], proven: bool) -> None:
    weights = {"w": torch.ones(2, 6), "large": torch.full((1, 4, 6, 6), 1000.0), "order": torch.tensor([2, 0, 1, 3])}
    last = node("y", aten.linear.default, Ref(steps[-1].name), Ref("w"))
    of = graph(quantizer("q", "x", 4), *steps, last, weights=weights, formats={"w": fixed_point(4, (0,))})
    assert ("y" in proofs(of.live())) is proven


@dataclass(frozen=True)
class Branch:
    """Integers from `low` to `high` times 2^`exponent`; with `relu`, none below zero."""

    low: int
    high: int
    exponent: int
    relu: bool


branches = st.builds(Branch, st.sampled_from([-8, -1, 0]), st.sampled_from([1, 7]), st.integers(-3, 3), st.booleans())
rows = st.lists(st.integers(-9, 9), min_size=6, max_size=6)


@settings(max_examples=60)
@given(branches, branches, rows, st.sampled_from([0.0, 0.375, -20.0]), st.sampled_from([None, 3.0, -8.0, 40.0]))
def test_sums_of_joined_and_padded_values_stay_within_the_proof_for_every_extreme_image(
    one: Branch, other: Branch, row: list[int], bias: float, border: float | None
) -> None:
    """Two pixels by each branch, and one of the border at either end, run in float64 as bit-true evaluation does."""
    nodes, joined = [], []
    for name, at, of in (("a", 0, one), ("b", 2, other)):
        grid = (2.0**of.exponent, 0, of.low, of.high)
        nodes.append(node(name, aten.slice.Tensor, X, 1, at, at + 2))
        nodes.append(node(f"{name}q", aten.fake_quantize_per_tensor_affine.default, Ref(name), *grid))
        nodes += [node(f"{name}r", aten.relu.default, Ref(f"{name}q"))] if of.relu else []
        joined.append(Ref(nodes[-1].name))
    nodes.append(node("v", aten.cat.default, tuple(joined), 1))
    nodes += [] if border is None else [node("p", aten.constant_pad_nd.default, Ref("v"), (1, 1), border)]
    weights = {"w": torch.tensor([row[: 4 if border is None else 6]]).float(), "bias": torch.tensor([bias])}
    last = node("y", aten.linear.default, Ref(nodes[-1].name), Ref("w"), Ref("bias"))
    of_all = graph(*nodes, last, weights=weights, formats={"w": fixed_point(8, (0,))}, shape=(4,))
    step = 2.0 ** min(one.exponent, other.exponent)
    if border is not None and border % step:
        assert proofs(of_all) == {}
        return
    (bits,) = proofs(of_all)["y"]
    unit = step / (bias / step).as_integer_ratio()[1]
    images = torch.tensor(list(product((-1e6, 0.0, 1e6), repeat=4)), dtype=torch.float64)
    sums = interpret(widen(of_all), images).flatten() / unit
    if weights["w"].any():
        assert torch.equal(sums, sums.round())
        assert -(2 ** (bits - 1)) <= float(sums.min()) <= float(sums.max()) <= 2 ** (bits - 1) - 1


def test_joined_values_by_hand() -> None:
    """-8 to 7 in quarters beside 0 to 15 in ones, which are 60 quarters: from -8 to 60, times 2 weights of 1."""
    coarse = node("p", aten.fake_quantize_per_tensor_affine.default, X, 1.0, 0, 0, 15)
    fine = node("q", aten.fake_quantize_per_tensor_affine.default, X, 0.25, 0, -8, 7)
    last = node("y", aten.linear.default, Ref("v"), Ref("w"))

    def bits(*nodes: Node) -> list[int]:
        formats = {"w": fixed_point(4, (0,))}
        return proofs(graph(fine, coarse, *nodes, last, weights={"w": torch.ones(1, 2)}, formats=formats, shape=(1,)))[
            "y"
        ]

    join = node("v", aten.cat.default, (Ref("p"), Q), 1)
    assert bits(join) == [8]  # 120 <= 127, though 2 * (60 + 8) > 127
    padded = node("u", aten.constant_pad_nd.default, Ref("p"), (0, 1), 16.0)
    half = node("v", aten.slice.Tensor, Ref("u"), 1, 0, 2)
    assert bits(padded, half) == [7]  # 2 * 16 = 32 > 31


def test_a_maximum_of_a_maximum_and_so_on_is_looked_at_once() -> None:
    """Each is made of the one before it twice over: 2^60 ways lead to the quantizer."""
    nodes = [node("v0", aten.relu.default, Q)]
    for place in range(60):
        nodes.append(node(f"u{place}", aten.view.default, Ref(f"v{place}"), (-1, 4)))
        nodes.append(node(f"v{place + 1}", aten.maximum.default, Ref(f"u{place}"), Ref(f"v{place}")))
    last = node("y", aten.linear.default, Ref("v60"), Ref("w"))
    weights, formats = {"w": torch.ones(1, 4)}, {"w": fixed_point(4, (0,))}
    assert proofs(graph(quantizer("q", "x", 4), *nodes, last, weights=weights, formats=formats, shape=(4,)))["y"] == [6]


def test_a_bias_that_is_computed_proves_nothing() -> None:
    steps = [quantizer("q", "x", 4), node("b2", aten.mul.Tensor, Ref("b"), 1000.0)]
    last = node("y", aten.linear.default, Q, Ref("w"), Ref("b2"))
    of = graph(*steps, last, weights={"w": torch.ones(2, 6), "b": torch.ones(2)}, formats={"w": fixed_point(4, (0,))})
    assert proofs(of) == {}


def test_proven_additions_count_at_their_width_under_both_policies() -> None:
    """Filters of 4 and 5 weights: 3 additions at 7 bits, 4 at 8; products at 8 bits, 4 of weight and value."""
    of = count(layer(torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]), 0, 15))
    assert of.layers[-1].accumulator_bits == (7, 8)
    declared, _ = weigh(of, "challenge")
    proven, _ = weigh(of, "challenge", accumulators="proven")
    assert declared == 9 * 8 + 7 * 32
    assert proven == 9 * 8 + 3 * 7 + 4 * 8
    assert weigh(of, "report", accumulators="proven")[0] == 9 * 32 + 3 * 7 + 4 * 8
