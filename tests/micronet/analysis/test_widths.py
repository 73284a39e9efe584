"""How wide values are, what the freebie is worth, and how one quantized tensor ends it."""

import math
import operator

import pytest
import torch
from torch import Tensor

from micronet.analysis.counts import count
from micronet.analysis.widths import widths
from micronet.graph.grid import Grid, fixed_point
from micronet.graph.ir import Node, Ref, Target
from tests.micronet.analysis.graphs import X, aten, graph, node, quantizer, weigh

EIGHT = quantizer("q", "x", 8)
FOUR = quantizer("p", "x", 4)
Q, P = Ref("q"), Ref("p")


def width(*nodes: Node, **weights: Tensor) -> int:
    return widths(graph(*nodes, weights=weights))[nodes[-1].name]


@pytest.mark.parametrize(
    ("steps", "bits"),
    [
        ([], 8),
        ([node("y", aten.relu.default, Q)], 8),
        ([node("y", aten.max_pool2d.default, Q, (2, 2))], 8),
        ([node("y", aten.view.default, Q, (-1, 144))], 8),
        ([node("n", aten.sym_size.int, Q, 0), node("y", aten.view.default, Q, (Ref("n"), -1))], 8),
        ([node("y", aten.index_select.default, Q, 1, Ref("order"))], 8),
        ([node("y", aten.constant_pad_nd.default, Q, (1, 1))], 8),
        ([node("y", aten.upsample_nearest2d.default, Q, (12, 12))], 8),
        ([FOUR, node("y", aten.cat.default, (P, Q), 1)], 8),
        ([FOUR, node("y", aten.cat.default, (P, P), 1)], 4),
        ([FOUR, node("y", aten.cat.default, (P, X), 1)], 32),
        ([FOUR, node("y", aten.maximum.default, P, Q)], 8),
        ([node("y", aten.maximum.default, Q, Ref("parameter"))], 32),
        ([FOUR, node("s", aten.split.Tensor, P, 2, 1), node("y", operator.getitem, Ref("s"), 0)], 4),
        ([node("y", aten.add.Tensor, Q, Q)], 32),
        ([node("y", aten.avg_pool2d.default, Q, (2, 2))], 32),
        ([node("y", aten.sigmoid.default, Q)], 32),
    ],
    ids=lambda value: value[-1].target.__name__ if isinstance(value, list) and value else None,
)
def test_moving_and_choosing_keep_a_width_and_computing_loses_it(steps: list[Node], bits: int) -> None:
    weights = {"order": torch.tensor([2, 0, 1]), "parameter": torch.ones(1)}
    steps = [EIGHT, *steps]
    assert widths(graph(*steps, weights=weights))[steps[-1].name] == bits


@pytest.mark.parametrize(
    ("grid", "value", "bits"),
    [
        ((0.25, 0, -128, 127), 0.0, 8),
        ((0.25, 0, -128, 127), 0.3, 32),
        ((0.25, 0, -128, 127), 0.75, 8),
        ((0.25, 0, -128, 127), -32, 8),
        ((0.25, 0, -128, 127), 32, 32),  # on a finer grid, or of more bits
        ((0.25, 0, -128, 127), math.inf, 32),
        ((0.25, 0, -128, 127), -math.inf, 8),  # which a max pool's border is filled with, and which never wins
        ((0.1, 128, 0, 255), 0.3, 8),
        ((0.1, 128, 0, 255), 12.7, 8),
        ((0.1, 128, 0, 255), 12.8, 32),
        ((0.1, 128, 0, 255), 0.35, 32),
    ],
)
@pytest.mark.parametrize("between", [[], [aten.relu.default], [aten.max_pool2d.default]])
def test_padding_with_a_number_is_as_wide_as_the_number(
    grid: tuple[float, int, int, int], value: float, bits: int, between: list[Target]
) -> None:
    steps = [node("q", aten.fake_quantize_per_tensor_affine.default, X, *grid)]
    for target in between:
        steps.append(node("v", target, Q, *([(2, 2)] if target is aten.max_pool2d.default else [])))
    source = Ref(steps[-1].name)
    for pad in (
        node("p", aten.constant_pad_nd.default, source, (1, 1), value),
        node("p", aten.pad.default, source, (1, 1), "constant", value),
        node("p", aten.pad.default, source, (1, 1), value=value),
    ):
        assert width(*steps, pad) == bits
        assert width(*steps, pad, node("y", aten.view.default, P, (-1, 4))) == bits


def test_padding_a_weight_is_as_wide_as_the_number_too() -> None:
    def of(value: float, **formats: Grid) -> int:
        pad = node("p", aten.constant_pad_nd.default, Ref("w"), (1, 1), value)
        return widths(graph(pad, weights={"w": torch.ones(2, 2)}, formats=formats))["p"]

    assert [of(value, w=fixed_point(4, (0,))) for value in (0.0, 7.0, 7.5, 8.0)] == [4, 4, 32, 32]
    assert [of(value, w=fixed_point(4, (0, 1), axis=0)) for value in (0.0, 0.5)] == [4, 32]
    assert of(7.0) == 32


@pytest.mark.parametrize(
    ("number", "bits"), [(0.0, 8), (0.75, 8), (-32.0, 8), (32.0, 32), (0.3, 32), (-math.inf, 8), (math.inf, 32)]
)
@pytest.mark.parametrize("join", [(aten.cat.default, 1), (aten.stack.default, 1), (aten.maximum.default, None)])
def test_a_number_spread_beside_a_value_is_as_wide_as_the_number(
    join: tuple[Target, int | None], number: float, bits: int
) -> None:
    """As padding with it is, whether it is spread over the images or not; a parameter is stored in full."""
    target, axis = join
    steps = [quantizer("q", "x", 8, 0.25), node("n", aten.sym_size.int, X, 0)]
    spread = node("s", aten.expand.default, Ref("number"), (Ref("n"), 4, 6, 6))
    for made, is_literal in (([spread], True), ([node("s", aten.alias.default, Ref("number"))], False)):
        operands = ((Q, Ref("s")), axis) if axis is not None else (Q, Ref("s"))
        last = [node("y", target, *operands), node("z", aten.relu.default, Ref("y"))]
        weights = {"number": torch.full((1, 4, 6, 6), number)}
        literals = frozenset({"number"} if is_literal else set())
        found = widths(graph(*steps, *made, *last, weights=weights, literals=literals))
        assert (found["y"], found["z"]) == ((bits, bits) if is_literal else (32, 32))


def test_zeros_beside_values_of_two_grids_take_the_wider() -> None:
    found = widths(
        graph(
            EIGHT,
            FOUR,
            node("y", aten.cat.default, (Q, P, Ref("zeros")), 1),
            weights={"zeros": torch.zeros(1, 2, 6, 6)},
            literals=frozenset({"zeros"}),
        )
    )
    assert found["y"] == 8


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(-128, 127, 8), (0, 255, 8), (-127, 127, 8), (-8, 7, 4), (-1, 1, 2), (0, 1, 1), (0, 15, 4)],
)
def test_a_quantizer_is_as_wide_as_the_number_of_its_steps(low: int, high: int, bits: int) -> None:
    step = node("y", aten.fake_quantize_per_tensor_affine.default, X, 0.25, 0, low, high)
    assert width(step) == bits


@pytest.mark.parametrize(
    ("weight_bits", "activation_bits", "widest"), [(3, 5, 5), (5, 3, 5), (9, 12, 12), (None, 4, 32), (4, None, 32)]
)
def test_a_product_is_as_wide_as_its_widest_input(
    weight_bits: int | None, activation_bits: int | None, widest: int
) -> None:
    """The bias only adds, at accumulator width; how wide it is stored does not matter."""
    source = [] if activation_bits is None else [quantizer("q", "x", activation_bits)]
    step = node("y", aten.conv2d.default, Q if source else X, Ref("w"), Ref("b"))
    formats = {"b": fixed_point(16, (0,))} | ({} if weight_bits is None else {"w": fixed_point(weight_bits, (0,))})
    weights = {"w": torch.ones(5, 4, 1, 1), "b": torch.ones(5)}
    counts = count(graph(*source, step, weights=weights, formats=formats))
    # 5 filters of 4 weights at 36 places: 4 products, 3 additions and one for the bias
    assert weigh(counts, "challenge")[0] == 5 * 4 * 36 * widest + 5 * 4 * 36 * 32


def test_weights_read_again_are_as_wide_as_the_first_time() -> None:
    steps = [
        quantizer("q", "x", 4),
        node("a", aten.mul.Tensor, Q, Ref("gain")),
        node("q2", aten.fake_quantize_per_tensor_affine.default, Ref("a"), 1.0, 0, -8, 7),
        node("y", aten.mul.Tensor, Ref("q2"), Ref("gain")),
    ]
    counts = count(graph(*steps, weights={"gain": torch.ones(1)}))
    assert [layer.weight_bits for layer in counts.layers if layer.op == "mul"] == [32, 32]
    assert weigh(counts, "challenge")[0] == 2 * 144 * 32


def test_a_residual_addition_is_as_wide_as_its_widest_input_and_a_bias_is_not() -> None:
    counts = count(graph(EIGHT, FOUR, node("y", aten.add.Tensor, Q, P)))
    assert weigh(counts, "challenge")[0] == 144 * 8


def test_freebie_and_its_loss() -> None:
    """5 filters of 4 weights at 36 places; 20 weights and 5 biases."""
    step = node("y", aten.conv2d.default, X, Ref("w"), Ref("b"))
    weights = {"w": torch.ones(5, 4, 1, 1), "b": torch.ones(5)}
    products, additions = 720, 720
    free = count(graph(step, weights=weights))
    assert weigh(free, "challenge") == (products * 16 + additions * 32, 25 * 16)
    # one bias of 8 bits, whose exponent takes 8 more, and everything else counts as the 32 bits it has
    lost = count(graph(step, weights=weights, formats={"b": fixed_point(8, (0,))}))
    assert weigh(lost, "challenge") == (products * 32 + additions * 32, 20 * 32 + 5 * 8 + 8)
    # one quantized activation anywhere
    late = graph(step, quantizer("y2", "y", 8), weights=weights)
    assert weigh(count(late), "challenge") == (products * 32 + additions * 32, 25 * 32 + 8)


BINARY = Grid(1, -1, 1, (1.0,), (0,))


@pytest.mark.parametrize(
    ("grid", "weight", "activation_bits", "cost"),
    [
        (BINARY, torch.tensor([1.0, -1, -1, 1]), None, 1),  # a sign flip of a float
        (BINARY, torch.tensor([1.0, -1, -1, 1]), 8, 8),  # two's complement has no sign bit of its own
        (Grid(1, -1, 1, (0.5,), (0,)), torch.tensor([0.5, -0.5, 0.5, 0.5]), None, 32),  # not -1 and +1
        (Grid(1, 0, 1, (1.0,), (0,)), torch.tensor([1.0, 0, 1, 1]), None, 32),  # 0 and 1
        (fixed_point(2, (0,)), torch.tensor([1.0, -1, -1, 1]), None, 32),  # stored in two bits
    ],
)
def test_binary_weights(grid: Grid, weight: Tensor, activation_bits: int | None, cost: int) -> None:
    source = [] if activation_bits is None else [quantizer("q", "x", activation_bits)]
    step = node("y", aten.conv2d.default, Q if source else X, Ref("w"))
    counts = count(graph(*source, step, weights={"w": weight.view(1, 4, 1, 1)}, formats={"w": grid}))
    nonzero = int(weight.count_nonzero())
    assert weigh(counts, "challenge")[0] == nonzero * 36 * cost + (nonzero - 1) * 36 * 32


def test_what_a_node_makes_on_its_way_is_wide() -> None:
    """A swish of 8 bits: the exponential reads x; quotient, product and sum read what is not quantized."""
    counts = count(graph(EIGHT, node("y", aten.silu.default, Q)))
    assert weigh(counts, "challenge")[0] == 144 * (8 + 2 * 32 + 32)
    # the mean of 36 values of 8 bits: sums and their scaling are wide; so is all of a layer norm
    assert weigh(count(graph(EIGHT, node("y", aten.mean.dim, Q, (2, 3)))), "challenge")[0] == 4 * (35 + 1) * 32
    norm = count(graph(EIGHT, node("y", aten.layer_norm.default, Q, (6,))))
    assert weigh(norm, "challenge")[0] == 24 * (16 + 17) * 32


def test_a_batch_norm_multiplies_at_the_width_of_its_scale() -> None:
    def of(mean: float = 0.0, variance: float = 1.0, eps: float = 0.0) -> int:
        numbers = {"scale": 1.0, "shift": 1.0, "m": mean, "v": variance}
        weights = {name: torch.full((4,), number) for name, number in numbers.items()}
        refs = (Ref("scale"), Ref("shift"), Ref("m"), Ref("v"))
        step = node("y", aten.batch_norm.default, Q, *refs, False, 0.1, eps, False)
        formats = {"scale": fixed_point(6, (0,)), "shift": fixed_point(6, (0,))}
        return weigh(count(graph(EIGHT, step, weights=weights, formats=formats)), "challenge")[0]

    assert of() == 144 * (8 + 32)
    # statistics of its own change the scale and the shift, which then lie on no grid
    assert of(mean=1.0) == of(variance=4.0) == of(eps=1e-5) == 144 * (32 + 32)


def test_fixed_point_needs_no_conversion_and_a_scale_does() -> None:
    def cost(step: float, zero_point: int) -> int:
        to_grid = node("y", aten.fake_quantize_per_tensor_affine.default, X, step, zero_point, 0, 15)
        return weigh(count(graph(to_grid)), "challenge")[0]

    assert cost(0.25, 0) == 0
    assert cost(0.3, 0) == 144 * 32
    assert cost(0.25, 7) == 144 * 32
    assert cost(0.3, 7) == 144 * 64
