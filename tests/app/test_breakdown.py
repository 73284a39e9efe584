"""A score taken apart adds up to the score."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from app.breakdown import Charged, LayerCost, Term, layer_costs, math_terms, storage_terms
from micronet.contract import BitWidths, Charges, Layer, ScoreResult, ScoreSettings
from micronet.jobs import Context, count_network
from tests.app.http.results import score_text
from tests.app.pages.layers import layer


def _counted(shared_dir: Path, **settings: object) -> ScoreResult:
    """A published network, counted."""
    file = shared_dir / "checkpoints" / "kaist_v2_pr45.onnx"
    return count_network(ScoreSettings.model_validate(settings), file, Context(device="cpu"))


def _of_layers(*layers: Layer) -> ScoreResult:
    """A result with these layers; its totals are of others."""
    return ScoreResult.model_validate_json(score_text(350, 0.4)).model_copy(update={"layers": layers})


def _bits(terms: tuple[Term, ...]) -> int:
    return sum(term.count * term.bits for term in terms)


def test_report_is_three_products_and_two(shared_dir: Path) -> None:
    result = _counted(shared_dir, policy="report", bits=BitWidths(param_bits=9, mul_bits=12))
    counts, stored = result.operations, result.storage
    assert math_terms(result) == (
        Term(counts.multiplications, 12, "multiplications"),
        Term(counts.additions, 32, "additions"),
        Term(counts.exponents, 8, "exponents"),
    )
    assert storage_terms(result) == (
        Term(stored.nonzero, 9, "parameters stored"),
        Term(stored.parameters, 1, "parameters, for the mask"),
    )


def test_challenge_with_the_freebie_is_two_products(shared_dir: Path) -> None:
    result = _counted(shared_dir, policy="challenge", bits=None)
    assert math_terms(result) == (Term(25_308_708, 16, "multiplications"), Term(23_073_219, 32, "additions"))
    assert {(term.bits, term.what) for term in storage_terms(result)} == {
        (16, "parameters stored"),
        (1, "parameters, for the mask"),
    }


def test_challenge_has_a_product_for_each_width(shared_dir: Path) -> None:
    """The 13 sigmoids have multiplications of two widths, and additions of another than their operands."""
    result = _counted(shared_dir, policy="challenge")
    assert math_terms(result) == (
        Term(21_775_620, 12, "multiplications"),
        Term(3_139_234, 32, "multiplications"),
        Term(902_905, 12, "additions"),
        Term(21_776_460, 32, "additions"),
    )
    sigmoids = [cost.charged for cost in layer_costs(result) if cost.op == "sigmoid"]
    assert sigmoids == [Charged(Fraction(22), Fraction(32), 0)] * 13
    assert {term.what for term in storage_terms(result)} > {"exponents", "parameters stored"}


@pytest.mark.parametrize("bits", [None, {}, {"param_bits": 4, "mul_bits": 32, "add_bits": 20}])
@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_formulas_add_up(shared_dir: Path, policy: str, bits: dict[str, int] | None) -> None:
    result = _counted(shared_dir, policy=policy, bits=bits)
    assert _bits(math_terms(result)) == 32 * result.operations.math
    assert _bits(storage_terms(result)) == result.storage.bits


@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_layers_add_up_to_both_terms(shared_dir: Path, policy: str) -> None:
    result = _counted(shared_dir, policy=policy)
    costs = layer_costs(result)
    assert sum(cost.storage for cost in costs) == pytest.approx(result.score.storage, rel=1e-12)
    assert sum(cost.math for cost in costs) == pytest.approx(result.score.math, rel=1e-12)
    assert sum(cost.share for cost in costs) == pytest.approx(1.0, rel=1e-12)


def _charged_bits(cost: LayerCost) -> Fraction:
    """What a row comes to when it is multiplied out."""
    assert cost.charged is not None
    counts = ((cost.layer.multiplications, cost.charged.multiplication), (cost.layer.additions, cost.charged.addition))
    assert all((width is None) == (count == 0) for count, width in counts), cost
    return sum((count * width for count, width in counts if width is not None), Fraction(cost.charged.exponents))


@pytest.mark.parametrize("bits", [None, BitWidths(param_bits=9, mul_bits=12, add_bits=20)])
@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_every_row_multiplies_out(shared_dir: Path, policy: str, bits: BitWidths | None) -> None:
    result = _counted(shared_dir, policy=policy, bits=bits)
    costs = layer_costs(result)
    assert [_charged_bits(cost) for cost in costs] == [32 * Fraction(cost.layer.math) for cost in costs]
    assert [_bits(cost.stored) for cost in costs] == [32 * Fraction(cost.layer.storage) for cost in costs]
    charged = [cost.charged for cost in costs if cost.charged is not None]
    assert sum(each.exponents for each in charged) == (0 if policy == "challenge" or bits is None else 640)
    assert all(each.addition in (None, 12, 20, 32) for each in charged)


class _Counting(tuple[Layer, ...]):
    """Layers that count how often all of them were read."""

    readings = 0

    def __iter__(self) -> Iterator[Layer]:
        self.readings += 1
        return super().__iter__()


def test_a_deep_network_is_read_as_often_as_a_small_one() -> None:
    """A layer that looked at all of them would make the page of 5,000 take seconds."""
    charged = Charges(math={"multiplications": {12: 8}}, storage={})
    layers = _Counting(layer(f"conv{index}", multiplications=8, math=3.0, charged=charged) for index in range(500))
    result = _of_layers().model_copy(update={"layers": layers})
    assert len(layer_costs(result)) == 500
    assert math_terms(result) == (Term(4000, 12, "multiplications"),)
    assert layers.readings <= 4


def test_operations_of_several_widths_are_an_average() -> None:
    """Two filters with 4 additions each, one of 13 bits and one of 16; of 8 multiplications 2 at 32 bits; exponents."""
    charged = Charges(
        math={"multiplications": {12: 6, 32: 2}, "additions": {13: 4, 16: 4}, "exponents": {8: 2}}, storage={}
    )
    (cost,) = layer_costs(_of_layers(layer("conv", multiplications=8, additions=8, charged=charged)))
    assert cost.charged == Charged(Fraction(17), Fraction(29, 2), 16)


def test_of_a_result_that_does_not_say_nothing_is_made_up() -> None:
    """An earlier version wrote the first layer: whatever its math looks like, nobody knows what was charged."""
    silent = layer("conv", multiplications=8, additions=8, math=(8 * 12 + 8 * 32) / 32)
    charged = Charges(math={"multiplications": {12: 8}}, storage={"parameters": {9: 5}})
    speaking = layer("fc", multiplications=8, math=3.0, charged=charged)
    assert [cost.charged for cost in layer_costs(_of_layers(silent, speaking))] == [
        None,
        Charged(Fraction(12), None, 0),
    ]
    for layers in ((silent,), (silent, speaking)):
        assert math_terms(_of_layers(*layers)) == storage_terms(_of_layers(*layers)) == ()
    assert math_terms(_of_layers(speaking)) == (Term(8, 12, "multiplications"),)
