"""How wide the numbers are that operations have in themselves: what they meet counts no narrower."""

import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from micronet.analysis.counts import count
from micronet.analysis.numbers import number_bits, operand_numbers, tensor_bits
from micronet.graph.ir import Graph, Node, Ref
from tests.micronet.analysis.graphs import aten, graph, node, quantizer, weigh

EIGHT = quantizer("q", "x", 8)
Q = Ref("q")
ELEMENTS = 4 * 6 * 6


def math_bits(network: Graph) -> int:
    return weigh(count(network), "challenge")[0]


@pytest.mark.parametrize(
    ("number", "bits"), [(0.0, 1), (1.0, 2), (-0.25, 2), (3.0, 3), (6.0, 3), (127.0, 8), (0.1, 25), (0.01, 24)]
)
def test_bits_by_hand(number: float, bits: int) -> None:
    assert number_bits(number) == bits


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_so_many_bits_hold_the_number_and_fewer_do_not(number: float) -> None:
    """Taken apart by IEEE 754: the last of the 24 digits that is set is the last that is needed."""
    (word,) = struct.unpack("<I", struct.pack("<f", number))
    digits = (word & 0x7FFFFF) | (0x800000 if word & 0x7F800000 else 0)
    assert number_bits(number) == len(f"{digits:b}".strip("0")) + 1


def test_a_tensor_is_as_wide_as_its_widest_number() -> None:
    assert tensor_bits(torch.tensor([[3.0, 3.0], [0.5, 0.1]])) == 25
    assert tensor_bits(torch.zeros(0)) == 1
    assert tensor_bits(torch.tensor([-torch.inf, 3.0])) == 3, "nobody computes with an infinite one"
    assert tensor_bits(torch.zeros(4, device="meta")) == 32


@pytest.mark.parametrize(
    ("step", "operations", "bits"),
    [
        (node("y", aten.mul.Tensor, Q, 0.3712), 1, 25),
        (node("y", aten.mul.Tensor, Q, 0.5), 1, 8),
        (node("y", aten.mul.Scalar, Q, 3), 1, 8),
        (node("y", aten.div.Tensor, 0.1, Q), 1, 25),
        (node("y", aten.add.Tensor, Q, 3.0), 1, 8),
        (node("y", aten.sub.Tensor, Q, 0.1), 1, 25),
        (node("y", aten.sub.Tensor, Q, Q, alpha=0.1), 2, 25),
        (node("y", aten.hardtanh.default, Q, 0.0, 6.0), 2, 8),
        (node("y", aten.clamp.default, Q, None, 0.1), 1, 25),
        (node("y", aten.leaky_relu.default, Q), 2, 24),  # the slope that is not given is 0.01
        (node("y", aten.leaky_relu.default, Q, 0.125), 2, 8),
        (node("y", aten.pow.Tensor_Scalar, Q, 2), 1, 8),
        (node("y", aten.relu.default, Q), 1, 8),
    ],
    ids=str,
)
def test_an_operation_is_as_wide_as_the_number_in_it(step: Node, operations: int, bits: int) -> None:
    """SCORING section 2: the widest input decides, and a factor of 0.3712 is one."""
    assert math_bits(graph(EIGHT, step)) == operations * bits * ELEMENTS


def test_a_literal_tensor_is_as_wide_as_its_numbers() -> None:
    """As the same number written into the operation; a parameter is as wide as its grid, 32 without one."""
    step = node("y", aten.mul.Tensor, Q, Ref("factor"))
    for number, as_literal in ((0.1, 25), (0.5, 8)):
        weights = {"factor": torch.full((4, 1, 1), number)}
        literal = graph(EIGHT, step, weights=weights, literals=frozenset({"factor"}))
        assert math_bits(literal) == as_literal * ELEMENTS
        assert math_bits(graph(EIGHT, step, weights=weights)) == 32 * ELEMENTS


def test_a_number_shows_as_the_width_of_a_constant() -> None:
    (layer,) = (
        layer for layer in count(graph(EIGHT, node("y", aten.mul.Tensor, Q, 0.3712))).layers if layer.op == "mul"
    )
    assert (layer.weight_bits, layer.activation_bits) == (25, 8)


def test_what_only_says_how_is_no_number() -> None:
    assert list(operand_numbers(node("y", aten.softmax.int, Q, 1))) == []
    assert list(operand_numbers(node("y", aten.clamp.default, Q, float("-inf"), None))) == []


@pytest.mark.parametrize(
    "step",
    [
        node("y", aten.add.Tensor, Q, Ref("r")),
        node("y", aten.sub.Tensor, Q, Ref("r")),
        node("y", aten.add.Tensor, Q, Ref("r"), alpha=1),
    ],
    ids=str,
)
def test_a_factor_of_one_is_no_number(step: Node) -> None:
    """SCORING section 2: two values of one bit are added at 1/32 each, and no width of weights is shown for the sum."""
    network = graph(quantizer("q", "x", 1), quantizer("r", "x", 1), step)
    assert math_bits(network) == ELEMENTS
    assert [layer.weight_bits for layer in count(network).layers if layer.op in ("add", "sub")] == [None]


def test_a_term_stays_a_number_beside_a_factor_of_one() -> None:
    for step in (node("y", aten.add.Scalar, Q, 3.0), node("y", aten.rsub.Scalar, Q, 3.0, 1)):
        assert list(operand_numbers(step)) == [3.0]
