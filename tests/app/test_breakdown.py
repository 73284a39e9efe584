"""A score taken apart adds up to the score."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from app.breakdown import Charged, LayerCost, Term, layer_costs, math_terms, storage_terms
from micronet.contract import BitWidths, Layer, ScoreResult, ScoreSettings
from micronet.jobs import Context, count_network
from tests.app.http.results import score_text
from tests.app.pages.layers import layer


def _counted(shared_dir: Path, **settings: object) -> ScoreResult:
    """A published network, counted."""
    file = shared_dir / "checkpoints" / "kaist_v2_pr45.onnx"
    return count_network(ScoreSettings.model_validate(settings), file, Context(device="cpu"))


def test_report_is_three_products_and_two(shared_dir: Path) -> None:
    widths = BitWidths(param_bits=9, mul_bits=12)
    result = _counted(shared_dir, policy="report", bits=widths)
    math, storage = math_terms(result, widths), storage_terms(result)
    assert [term.bits for term in math] == [12, 32, 8]
    assert sum(term.count * term.bits for term in math) == 32 * result.operations.math
    assert storage == (
        Term(result.storage.nonzero, 9, "parameters that are not zero"),
        Term(result.storage.parameters, 1, "parameters, for the mask"),
    )


def test_challenge_with_the_freebie_is_two_products(shared_dir: Path) -> None:
    result = _counted(shared_dir, policy="challenge", bits=None)
    assert math_terms(result, None) == (Term(25_308_708, 16, "multiplications"), Term(23_073_219, 32, "additions"))
    assert storage_terms(result) == ()


def test_what_is_no_short_sum_is_not_made_one(shared_dir: Path) -> None:
    result = _counted(shared_dir, policy="challenge", bits=None)
    operations = result.operations.model_copy(update={"math": result.operations.math + 1})
    assert math_terms(result.model_copy(update={"operations": operations}), None) == ()


@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_layers_add_up_to_both_terms(shared_dir: Path, policy: str) -> None:
    result = _counted(shared_dir, policy=policy)
    costs = layer_costs(result)
    assert sum(cost.storage for cost in costs) == pytest.approx(result.score.storage, rel=1e-12)
    assert sum(cost.math for cost in costs) == pytest.approx(result.score.math, rel=1e-12)
    assert sum(cost.share for cost in costs) == pytest.approx(1.0, rel=1e-12)


def _charged_bits(cost: LayerCost) -> Fraction:
    """What a row comes to when it is multiplied out."""
    counts = ((cost.layer.multiplications, cost.charged.multiplication), (cost.layer.additions, cost.charged.addition))
    assert all((width is None) == (count == 0) for count, width in counts), cost
    return sum((count * width for count, width in counts if width is not None), Fraction(cost.charged.exponents))


@pytest.mark.parametrize("bits", [None, BitWidths(param_bits=9, mul_bits=12, add_bits=20)])
@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_every_row_multiplies_out(shared_dir: Path, policy: str, bits: BitWidths | None) -> None:
    result = _counted(shared_dir, policy=policy, bits=bits)
    costs = layer_costs(result, bits)
    assert [_charged_bits(cost) for cost in costs] == [32 * Fraction(cost.layer.math) for cost in costs]
    assert sum(cost.charged.exponents for cost in costs) == (0 if policy == "challenge" or bits is None else 640)
    assert all(cost.charged.addition in (None, 12, 20, 32) for cost in costs)


def test_with_the_freebie_a_row_is_charged_what_the_formula_says(shared_dir: Path) -> None:
    costs = layer_costs(_counted(shared_dir, policy="challenge", bits=None))
    assert {cost.layer.activation_bits for cost in costs} == {32}
    assert {cost.charged.multiplication for cost in costs} - {None} == {16}
    assert {cost.charged.addition for cost in costs} - {None} == {32}


class _Counting(tuple[Layer, ...]):
    """Layers that count how often all of them were read."""

    readings = 0

    def __iter__(self) -> Iterator[Layer]:
        self.readings += 1
        return super().__iter__()


@pytest.mark.parametrize("bits", [None, BitWidths()])
@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_a_deep_network_is_read_as_often_as_a_small_one(policy: str, bits: BitWidths | None) -> None:
    """A layer that looked at all of them would make the page of 5,000 take seconds."""
    result = ScoreResult.model_validate_json(score_text(350, 0.4))
    layers = _Counting(layer(f"conv{index}", multiplications=8, math=3.0) for index in range(500))
    assert len(layer_costs(result.model_copy(update={"policy": policy, "layers": layers}), bits)) == 500
    assert layers.readings <= 4


def _alone(policy: str, one: Layer) -> Charged:
    """What a network of one layer is charged."""
    result = ScoreResult.model_validate_json(score_text(350, 0.4))
    (cost,) = layer_costs(result.model_copy(update={"policy": policy, "layers": (one,)}))
    assert _charged_bits(cost) == 32 * Fraction(one.math)
    return cost.charged


@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_sums_of_several_proven_widths_are_an_average(policy: str) -> None:
    """Two filters with 4 additions each, one of 13 bits and one of 16; 8 multiplications at 12 bits."""
    proven = layer("conv", multiplications=8, additions=8, math=(8 * 12 + 4 * 13 + 4 * 16) / 32)
    proven = proven.model_copy(update={"accumulator_bits": (13, 16)})
    assert _alone(policy, proven) == Charged(Fraction(12), Fraction(29, 2))


def test_multiplications_of_several_widths_are_an_average() -> None:
    """Two at the 12 bits of their operands, two at the 32 of a value the operation made on its way."""
    mixed = layer("softmax", multiplications=4, additions=1, math=(2 * 12 + 2 * 32 + 32) / 32)
    assert _alone("challenge", mixed) == Charged(Fraction(22), Fraction(32))
