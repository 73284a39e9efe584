"""A score taken apart adds up to the score."""

from pathlib import Path

import pytest

from app.pages.breakdown import Term, layer_costs, math_terms, storage_terms
from micronet.contract import BitWidths, ScoreResult, ScoreSettings
from micronet.jobs import Context, count_network


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
