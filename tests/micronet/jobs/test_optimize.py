"""The optimize job on digits, end to end: every number in its answer comes out of its file again."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from micronet.analysis.counts import count
from micronet.contract import OptimizeResult
from micronet.errors import AlreadyQuantized, SettingsError
from micronet.jobs import JOBS, Context
from micronet.jobs.network import read_network
from micronet.transformation.prepare import prepare
from tests.micronet.jobs.asking import ask, numbers

Digits = tuple[Path, dict[str, Any]]
AGAIN = {"track": "digits", "policy": "challenge", "bits": None, "accumulators": "proven", "bit_true": True}


def asked(digits: Digits, **change: object) -> dict[str, object]:
    settings = {key: digits[1][key] for key in ("track", "architecture", "seed")}
    few = {"calibration_images": 300, "holdout_images": 600, "weight_bits": [2, 5], "input_bits": [3, 7], "points": 3}
    return {**settings, **few, **change}


@pytest.fixture(scope="module")
def optimized(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> tuple[OptimizeResult, Path]:
    outputs = tmp_path_factory.mktemp("optimized")
    return ask("optimize", digits[0], asked(digits), outputs), outputs / "optimized.onnx"


def test_the_file_alone_gives_the_score_and_the_accuracy(optimized: tuple[OptimizeResult, Path]) -> None:
    result, made = optimized
    again = ask("score", made, AGAIN)
    assert numbers(again) == numbers(result.score)
    chosen = result.front[result.looks[-1].point]
    assert (chosen.score, result.looks[-1].accuracy) == (again.score, again.accuracy)
    assert again.qualifies
    assert again.accuracy.correct >= result.floor == 342


def test_it_scores_far_lower_than_the_file_that_came(optimized: tuple[OptimizeResult, Path]) -> None:
    result, _ = optimized
    assert result.score.score.total < 0.4 * result.before.total
    assert result.before_accuracy.correct >= result.floor
    best = result.uniform_looks[-1]
    assert best.kept_floor
    assert result.score.score.total < result.front[best.point].score.total
    assert {result.front[look.point].kind for look in result.uniform_looks} == {"uniform"}


def test_a_first_choice_under_the_floor_steps_back_to_a_safer_one_and_says_so(digits: Digits) -> None:
    """Four times as much is dared as may be lost."""
    result = ask("optimize", digits[0], asked(digits, margin=-3, points=6))
    *failed, kept = result.looks
    assert failed
    assert kept.kept_floor
    assert not any(look.kept_floor or look.accuracy.correct >= result.floor for look in failed)
    scores = [result.front[look.point].score.total for look in result.looks]
    assert scores == sorted(scores)
    assert f"{len(failed)} network" in result.warnings[-1]
    assert "fell under the floor" in result.warnings[-1]
    searched = [point for point in result.front if point.kind == "searched"]
    assert len({point.score.total for point in searched}) > 3, "a front, not one point"
    assert [point.kind for point in result.front] == sorted(point.kind for point in result.front)


def test_what_is_said_of_every_layer_is_in_the_file(optimized: tuple[OptimizeResult, Path]) -> None:
    result, made = optimized
    graph, _ = read_network(made, None, None)
    layers = {layer.name: layer for layer in count(prepare(graph, fuse=True)).layers}
    assert [layer.name for layer in result.layers] == ["conv1", "conv2", "fc"]
    for layer in result.layers:
        there = layers[layer.name]
        assert (layer.weight_bits, layer.input_bits) == (there.weight_bits, there.activation_bits)
        assert layer.accumulator_bits == there.accumulator_bits
        assert layer.nonzero == there.parameters[0].nonzero < layer.weights == there.parameters[0].elements


def test_a_job_that_was_killed_goes_on_to_the_same_bits(digits: Digits, tmp_path: Path) -> None:
    """Points that were made are read from the journal: with two of them gone, the others are not made again."""
    job = JOBS["optimize"]
    settings = job.settings.model_validate(asked(digits, points=2))
    results = []
    for name in ("whole", "resumed"):
        outputs = tmp_path / name
        outputs.mkdir()
        results.append(
            job.run(settings, digits[0], Context(None, "cpu", outputs=outputs, journal=tmp_path / "journal"))
        )
        journal = sorted(path.name for path in (tmp_path / "journal").iterdir())
        assert {"survey-with-errors", "searched-0", "searched-1", "uniform-0"} <= set(journal)
        (tmp_path / "journal" / "searched-1").unlink()
        (tmp_path / "journal" / "uniform-0").unlink()
    assert results[0] == results[1]


def test_without_correction_and_without_new_zeros(digits: Digits) -> None:
    result = ask("optimize", digits[0], asked(digits, correct=False, sparsify=False, points=1))
    assert result.front[0].loss > 0
    assert len(result.front) == 2


def test_a_network_under_its_floor_has_nothing_to_lose(digits: Digits) -> None:
    with pytest.raises(SettingsError, match="nothing to lose"):
        ask("optimize", digits[0], asked(digits, floor=1.0))


def test_a_file_on_grids_is_refused(optimized: tuple[OptimizeResult, Path], digits: Digits, tmp_path: Path) -> None:
    made = shutil.copy(optimized[1], tmp_path / "again.onnx")
    with pytest.raises(AlreadyQuantized):
        ask("optimize", Path(made), {**asked(digits), "architecture": None})


def test_widths_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="narrowest comes first"):
        JOBS["optimize"].settings.model_validate({"weight_bits": [8, 3]})
