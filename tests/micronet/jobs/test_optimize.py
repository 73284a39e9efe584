"""The optimize job on digits, end to end: every number in its answer comes out of its file again."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from micronet.analysis.counts import count
from micronet.contract import OptimizeResult
from micronet.data.datasets import open_split
from micronet.errors import AlreadyQuantized, Paused, SettingsError
from micronet.jobs import JOBS, Context
from micronet.jobs.network import read_network
from micronet.tracks import track
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
    assert [point.kind for point in result.front] == sorted(point.kind for point in result.front)
    best = result.uniform_looks[-1]
    assert best.kept_floor
    assert result.score.score.total < result.front[best.point].score.total
    assert {result.front[look.point].kind for look in result.uniform_looks} == {"uniform"}


def test_a_front_is_made_and_not_one_point(digits: Digits) -> None:
    result = ask("optimize", digits[0], asked(digits, points=6))
    searched = [point.score.total for point in result.front if point.kind == "searched"]
    assert len(searched) <= 6
    assert len(set(searched)) > 3


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


def test_a_lesson_of_a_network_that_is_not_asked_for_any_more_is_no_other_ones(digits: Digits, tmp_path: Path) -> None:
    other = {**TUNING, "learning_rate": 0.05}
    whole, parts = run(digits, tmp_path / "whole", points=1, tuning=other), tmp_path / "parts"
    written: set[int] = set()
    while len(written) < 2:  # its beginning, and what it came to after an epoch
        with pytest.raises(Paused):
            run(digits, parts, pause_at=time.monotonic(), points=1, tuning=TUNING)
        written |= {path.stat().st_mtime_ns for path in parts.glob("lesson.fit")}
    assert run(digits, parts, points=1, tuning=other) == whole


def run(digits: Digits, journal: Path, pause_at: float | None = None, **change: object) -> OptimizeResult:
    job = JOBS["optimize"]
    settings = job.settings.model_validate(asked(digits, **change))
    result = job.run(settings, digits[0], Context(None, "cpu", journal=journal, pause_at=pause_at))
    assert isinstance(result, OptimizeResult)
    return result


def test_a_job_that_was_killed_goes_on_to_the_same_bits(digits: Digits, tmp_path: Path) -> None:
    """Networks that were made are read from the journal: with two of them gone, the others are not made again."""
    whole = run(digits, tmp_path, points=2)
    there = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert there.keys() >= {"made-of", "options"}
    searched, uniform = (sorted(name for name in there if kind in name) for kind in ("searched", "uniform"))
    assert len(searched) == len(uniform) == 2
    gone = {searched[1], uniform[0]}
    for name in gone:
        (tmp_path / name).unlink()
    assert run(digits, tmp_path, points=2) == whole
    again = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {name for name in there if again[name] != there[name]} == gone


def test_a_journal_serves_another_choice_and_no_other_search(digits: Digits, tmp_path: Path) -> None:
    first = run(digits, tmp_path, points=1)
    more = run(digits, tmp_path, points=2, looks=1, margin=0.5)
    assert more.front[0] == first.front[0]
    with pytest.raises(SettingsError, match="something else: it differs in seed"):
        run(digits, tmp_path, points=1, seed=1)
    other = tmp_path / "other.pth"
    state = torch.load(digits[0], weights_only=True)
    torch.save({name: 2 * tensor if name == "fc.bias" else tensor for name, tensor in state.items()}, other)
    with pytest.raises(SettingsError, match="differs in file"):
        JOBS["optimize"].run(
            JOBS["optimize"].settings.model_validate(asked(digits)), Path(other), Context(journal=tmp_path)
        )


def test_a_search_goes_on_where_another_device_answers_otherwise(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How hard its images are is found once, and the result says what it was made on; a journal of a track that says
    something else, or of other test images, is refused."""
    first = run(digits, tmp_path, points=1)
    monkeypatch.setattr("micronet.jobs.starting_point.share_as_hard", lambda *_: 0.5)
    for module in ("optimize", "starting_point"):
        monkeypatch.setattr(f"micronet.jobs.{module}.choose_device", lambda _: torch.device("cpu", 0))
    there = first.scorer.model_copy(update={"device": "cpu:0"})
    assert run(digits, tmp_path, points=1) == first.model_copy(update={"scorer": there})
    cheaper = track("digits").model_copy(update={"baseline_math": 100})
    monkeypatch.setattr("micronet.jobs.starting_point.track", lambda *_: cheaper)
    with pytest.raises(SettingsError, match="differs in track"):
        run(digits, tmp_path, points=1)
    monkeypatch.setattr("micronet.jobs.starting_point.track", track)
    monkeypatch.setattr(
        "micronet.jobs.starting_point.open_split", lambda *of: replace(open_split(*of), sha256=str(of[1]))
    )
    with pytest.raises(SettingsError, match="differs in images and test images"):
        run(digits, tmp_path, points=1)


TUNING = {"steps": 30, "batch": 32, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}


def test_networks_are_trained_where_that_is_asked_for(digits: Digits, tmp_path: Path) -> None:
    """The journal of a search without training serves one with it: what is trained are the same networks."""
    journal, outputs = tmp_path / "journal", tmp_path / "outputs"
    plain = run(digits, journal, points=1)
    there = {path.name: path.stat().st_mtime_ns for path in journal.iterdir()}
    job = JOBS["optimize"]
    settings = job.settings.model_validate(asked(digits, points=1, tuning=TUNING))
    outputs.mkdir()
    result = job.run(settings, digits[0], Context(None, "cpu", journal=journal, outputs=outputs))
    assert isinstance(result, OptimizeResult)
    assert {name: (journal / name).stat().st_mtime_ns for name in there} == there
    for before, after in zip(plain.front, result.front, strict=True):
        assert (before.kind, before.description, before.tuning) == (after.kind, after.description, None)
        assert after.tuning is not None
        assert after.tuning.images == 30 * 32
        assert after.tuning.before.top1 == pytest.approx(before.hard_agreement)
        assert after.tuning.after.top1 == pytest.approx(after.hard_agreement)
        assert after.hard_agreement >= before.hard_agreement
        assert after.score.storage <= before.score.storage
    again = ask("score", outputs / "optimized.onnx", AGAIN)
    assert numbers(again) == numbers(result.score)


def test_a_training_that_was_broken_off_goes_on_to_the_same_bits(digits: Digits, tmp_path: Path) -> None:
    whole = run(digits, tmp_path / "whole", points=1, tuning=TUNING)
    parts = tmp_path / "parts"
    while not list(parts.glob("*-tuned-*")):
        with pytest.raises(Paused):
            run(digits, parts, pause_at=time.monotonic(), points=1, tuning=TUNING)
    assert (parts / "lesson.fit").stat().st_size > 1000
    assert run(digits, parts, points=1, tuning=TUNING) == whole
    assert (parts / "lesson.fit").stat().st_size < 1000, "nothing of a training is left"


def test_without_correction_there_are_new_zeros_if_they_are_asked_for(digits: Digits) -> None:
    dense, sparse = (
        ask("optimize", digits[0], asked(digits, correct=False, sparsify=sparsify, points=1))
        for sparsify in (False, True)
    )
    assert dense.front[0].loss > 0
    assert len(dense.front) == 2
    nonzero = [sum(layer.nonzero for layer in result.layers) for result in (dense, sparse)]
    assert nonzero[1] < 0.9 * nonzero[0]


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
