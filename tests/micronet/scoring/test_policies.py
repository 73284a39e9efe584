"""The two policies, on layers written down by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micronet.analysis.counts import Counts, LayerCounts
from micronet.analysis.operations import Operations
from micronet.analysis.parameters import Parameter
from micronet.contract import NetworkWidths
from micronet.scoring.policies import (
    POLICIES,
    UNQUANTIZED,
    Accumulators,
    Encoding,
    Terms,
    Weighed,
    Widths,
    challenge,
    own_widths,
    report,
    widest_operands,
)

TEAM = Widths(param_bits=9, mul_bits=12, add_bits=32, exponent_bits=8)


def layer(
    operations: Operations = Operations(),  # noqa: B008, it is frozen
    parameters: tuple[Parameter, ...] = (),
    **facts: object,
) -> LayerCounts:
    given = {"weight_bits": None, "activation_bits": 32} | facts
    return LayerCounts("layer", "conv2d", (1,), operations, parameters, **given)  # type: ignore[arg-type]


def weigh(
    policy: str,
    one: LayerCounts,
    widths: Widths = UNQUANTIZED,
    encoding: Encoding = "cheapest",
    *,
    accumulators: Accumulators = "declared",
    quantized: bool = True,
) -> Weighed:
    return POLICIES[policy](Counts((one,), quantized, 0), one, Terms(widths, encoding, accumulators))


def bits(weighed: Weighed) -> tuple[int, int]:
    return weighed.math_bits, weighed.storage_bits


CONVOLUTION = layer(
    Operations(1000, 0, 0, 900),
    (Parameter("weight", 100, 60, 9, exponents=1), Parameter("bias", 10, 10, 12, exponents=1)),
    weight_bits=9,
    activation_bits=12,
    exponents=1,
)


def test_report_is_the_teams_formula() -> None:
    """1000 * 12 + 900 * 32 + 1 * 8; 70 * 9 + 110."""
    math = {"multiplications": {12: 1000}, "additions": {32: 900}, "exponents": {8: 1}}
    assert weigh("report", CONVOLUTION, TEAM) == Weighed(math, {"parameters": {9: 70}, "mask": {1: 110}})
    assert bits(weigh("report", CONVOLUTION, TEAM)) == (12_000 + 28_800 + 8, 70 * 9 + 110)
    assert bits(weigh("report", CONVOLUTION)) == (1900 * 32, 70 * 32 + 110)
    assert "exponents" not in weigh("report", CONVOLUTION).math, "they are free"


def test_report_sees_neither_the_encoding_nor_what_the_graph_quantizes() -> None:
    for encoding in ("cheapest", "masked"):
        for quantized in (True, False):
            same = weigh("report", CONVOLUTION, TEAM, encoding, quantized=quantized)  # type: ignore[arg-type]
            assert same == weigh("report", CONVOLUTION, TEAM)


def test_challenge_takes_the_widest_input_and_wide_sums() -> None:
    """1000 * 12 + 900 * 32; weight 60 * 9 + 100 mask bits and an exponent; bias 10 * 12 without a mask and one."""
    weighed = weigh("challenge", CONVOLUTION)
    assert weighed.math == {"multiplications": {12: 1000}, "additions": {32: 900}}
    assert weighed.storage == {"parameters": {9: 60, 12: 10}, "mask": {1: 100}, "exponents": {8: 2}}
    assert bits(weighed) == (12_000 + 28_800, 540 + 100 + 8 + 120 + 8)


def test_challenge_prices_what_a_node_makes_on_its_way_at_32_bits() -> None:
    one = layer(Operations(10, 20, 30, 40), activation_bits=8)
    assert weigh("challenge", one).math == {"multiplications": {8: 10, 32: 30}, "additions": {8: 20, 32: 40}}
    assert weigh("challenge", one).math_bits == 10 * 8 + 20 * 8 + 30 * 32 + 40 * 32


def test_freebie() -> None:
    """Without any quantization all multiplications and parameters count 16 bits and all additions 32."""
    one = layer(Operations(10, 20, 30, 40), (Parameter("w", 8, 8, 32),), weight_bits=32)
    assert weigh("challenge", one, quantized=False) == Weighed(
        {"multiplications": {16: 10 + 30}, "additions": {32: 20 + 40}}, {"parameters": {16: 8}}
    )
    assert bits(weigh("challenge", one, quantized=True)) == (100 * 32, 8 * 32)


def test_binary_weights_cost_a_bit_each() -> None:
    one = layer(Operations(1000, 0, 0, 900), (Parameter("w", 64, 64, 1),), weight_bits=1, binary=True)
    assert weigh("challenge", one) == Weighed(
        {"multiplications": {1: 1000}, "additions": {32: 900}}, {"parameters": {1: 64}}
    )


@pytest.mark.parametrize(
    ("elements", "nonzero", "bits", "cheapest", "masked"),
    [
        (100, 100, 9, 900, 900),  # without zeros there is no mask
        (100, 99, 9, 900, 991),  # 99 * 9 + 100 is dearer than all 100
        (100, 89, 9, 900, 901),  # 801 + 100
        (100, 88, 9, 892, 892),  # 792 + 100
        (100, 0, 9, 100, 100),  # a mask of zeros
        (100, 50, 1, 100, 150),
    ],
)
def test_encodings(elements: int, nonzero: int, bits: int, cheapest: int, masked: int) -> None:
    one = layer(parameters=(Parameter("w", elements, nonzero, bits),))
    assert weigh("challenge", one, encoding="cheapest").storage_bits == cheapest
    assert weigh("challenge", one, encoding="masked").storage_bits == masked
    for encoding in ("cheapest", "masked"):
        stored = weigh("challenge", one, encoding=encoding).storage  # type: ignore[arg-type]
        mask = stored.get("mask", {}).get(1, 0)
        assert mask in (0, elements)
        assert stored.get("parameters", {}).get(bits, 0) == (nonzero if mask else elements)


def test_scales_and_exponents_are_stored_too() -> None:
    per_filter = layer(parameters=(Parameter("w", 100, 100, 8, exponents=10),))
    assert weigh("challenge", per_filter).storage_bits == 800 + 10 * 8
    scaled = layer(parameters=(Parameter("w", 100, 100, 8, scale_bits=10 * (32 + 8)),))
    assert weigh("challenge", scaled).storage == {"parameters": {8: 100}, "scales": {1: 400}}
    assert weigh("challenge", scaled).storage_bits == 800 + 400


PROVEN = layer(
    Operations(100, 0, 0, 90),
    weight_bits=8,
    activation_bits=8,
    additions_by_filter=(50, 40),
    accumulator_bits=(10, 32),
)


def test_proven_accumulators_are_never_wider_than_declared() -> None:
    """50 at 10 bits, 40 at 32, or as few as are declared."""
    proven = weigh("challenge", PROVEN, accumulators="proven")
    assert proven.math == {"multiplications": {8: 100}, "additions": {10: 50, 32: 40}}
    assert proven.math_bits == 800 + 50 * 10 + 40 * 32
    assert weigh("challenge", PROVEN).math_bits == 800 + 90 * 32
    assert weigh("report", PROVEN, TEAM, accumulators="proven").math_bits == 1200 + 50 * 10 + 40 * 32
    narrow = Widths(9, 12, 8, 8)
    assert weigh("report", PROVEN, narrow, accumulators="proven") == weigh("report", PROVEN, narrow)


sizes = st.integers(0, 10**9)


@given(sizes, sizes, st.integers(1, 32), st.sampled_from(["cheapest", "masked"]))
def test_bits_are_exact_integers_however_large(elements: int, share: int, bits: int, encoding: Encoding) -> None:
    nonzero = share % (elements + 1)
    one = layer(Operations(elements, share, 1, 2), (Parameter("w", elements, nonzero, bits),), weight_bits=bits)
    for policy in (report, challenge):
        weighed = policy(Counts((one,), True, 0), one, Terms(TEAM, encoding, "declared"))
        assert type(weighed.math_bits) is type(weighed.storage_bits) is int
    cheapest, masked = (weigh("challenge", one, encoding=e).storage_bits for e in ("cheapest", "masked"))
    assert cheapest <= masked
    assert cheapest <= elements * bits


def test_a_networks_own_widths_are_those_of_its_widest_parameter_and_dot_product() -> None:
    assert own_widths(Counts((CONVOLUTION,), True, 0)) == Widths(12, 12, 32, 8)
    wider = layer(Operations(1), (Parameter("weight", 1, 1, 7),), activation_bits=14)
    assert own_widths(Counts((CONVOLUTION, wider), True, 0)) == Widths(12, 14, 32, 8)
    floating = layer(Operations(1), (Parameter("weight", 1, 1, 32),))
    assert own_widths(Counts((CONVOLUTION, floating), True, 0)) == Widths(32, 32, 32, 0)
    assert own_widths(Counts((CONVOLUTION,), False, 0)) == UNQUANTIZED


def test_where_operations_are_charged_one_by_one_the_widest_weights_are_listed_and_not_their_biases() -> None:
    """Nor what enters no dot product, or is a factor in the operation itself."""
    factor = replace(layer(Operations(1), weight_bits=32), op="mul")
    counts = Counts((CONVOLUTION, factor), True, 0)
    assert widest_operands(counts) == NetworkWidths(param_bits=9, mul_bits=12)
    assert own_widths(counts) == Widths(12, 12, 32, 8)
    assert widest_operands(Counts((factor,), True, 0)) == NetworkWidths(param_bits=None, mul_bits=None)


def test_an_exponent_alone_is_no_wide_parameter() -> None:
    quantizer = layer(Operations(), (Parameter("exponent", 0, 0, 0, exponents=1),))
    assert own_widths(Counts((CONVOLUTION, quantizer), True, 0)).param_bits == 12
