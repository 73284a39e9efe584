"""The prune job: a smaller file that answers as the result says, and that can be pruned again."""

from pathlib import Path
from typing import Any

from micronet.contract import Accuracy, NetworkTotals, PrunedLayer, PruneRound, PruningReport
from micronet.jobs import JOBS, Context
from micronet.jobs.prune import prune_warnings
from tests.micronet.jobs.asking import ask
from tests.micronet.jobs.test_score import Heard

Digits = tuple[Path, dict[str, Any]]
TUNING = {"epochs": 2, "batch": 64, "learning_rate": 0.05, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}
HOW = {"track": "digits", "ratio": 0.4, "factor_images": 200, "train_images": 600, "fine_tuning": TUNING}


def test_what_comes_out_is_smaller_and_scores_as_it_says(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    result = ask("prune", path, {**HOW, "architecture": settings["architecture"]}, tmp_path)
    report = result.pruning
    assert report.after.parameters < report.before.parameters == 5178
    assert report.rounds[0].training.after.correct >= report.rounds[0].before_tuning.correct
    assert result.accuracy.correct >= 0.85 * result.accuracy.total
    file = tmp_path / "pruned.onnx"
    assert file.stat().st_size == result.artifact.size
    asked = {"track": "digits", "policy": "challenge", "bits": None, "fuse_batchnorm": False}
    score = ask("score", file, asked)
    assert score.storage.parameters == report.after.parameters
    assert score.operations.multiplications == report.after.multiplications
    assert score.accuracy == result.accuracy
    again = ask("prune", file, {**HOW, "evaluate": False}, tmp_path)
    assert again.pruning.before == report.after
    assert again.pruning.after.parameters < report.after.parameters
    assert [layer.name for layer in again.pruning.layers] == ["conv1", "conv2", "fc"]


def test_a_job_that_was_broken_off_goes_on_from_its_journal(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    asked = {**HOW, "architecture": settings["architecture"], "evaluate": False}
    job, heard = JOBS["prune"], Heard()
    chosen = job.settings.model_validate(asked)
    first = job.run(chosen, path, Context(None, "cpu", heard, journal=tmp_path))
    assert [name for name, _, _ in heard.stages] == ["read", "prune", "write"]
    for entry in tmp_path.glob("*.done"):
        entry.unlink()
    second = job.run(chosen, path, Context(None, "cpu", journal=tmp_path))
    assert second.artifact.sha256 == first.artifact.sha256


def test_where_nothing_pays_the_answer_says_so(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    asked = {**HOW, "ratio": 0.05, "architecture": settings["architecture"], "evaluate": False}
    result = ask("prune", path, asked, tmp_path)
    assert result.pruning.after == result.pruning.before
    assert result.pruning.rounds == ()
    assert [warning for warning in result.warnings if "nothing was removed" in warning]


def report_of(before: int, after: int) -> PruningReport:
    """Of so many parameters, nine in ten of them not zero, each multiplied ten times; one round, one layer."""
    first, last = (
        NetworkTotals(parameters=n, nonzero=9 * n // 10, multiplications=10 * n, additions=9 * n)
        for n in (before, after)
    )
    accuracy = Accuracy.of(9, 10)
    round_ = PruneRound(round=1, asked=2, removed=1, grown_back=0, totals=last, before_tuning=accuracy, training=None)
    layer = PrunedLayer(name="fc", inputs=4, kept_inputs=2, outputs=2, kept_outputs=2, form=("rotation_in", "core"))
    return PruningReport(
        before=first, after=last, before_accuracy=accuracy, after_accuracy=accuracy, rounds=(round_,), kept_rounds=1,
        layers=(layer,), left_alone=(),
    )  # fmt: skip


def test_a_network_that_is_no_cheaper_is_a_warning() -> None:
    report = report_of(100, 100)
    totals = report.before
    report = report.model_copy(update={"after": totals.model_copy(update={"nonzero": 91})})
    assert [warning[:27] for warning in prune_warnings(report)] == ["the network is no cheaper t"]
    cheap = report.model_copy(update={"after": totals.model_copy(update={"multiplications": 999})})
    assert list(prune_warnings(cheap)) == []
    mixed = report.model_copy(update={"after": totals.model_copy(update={"multiplications": 1001, "nonzero": 80})})
    assert list(prune_warnings(mixed)) == [
        "the network has more multiplications than it came with: 1,001, where it had 1,000."
    ]


def test_a_compression_that_was_missed_is_a_warning() -> None:
    report = report_of(100, 43)
    assert list(prune_warnings(report)) == []
    (warning,) = prune_warnings(report.model_copy(update={"compression": 0.6}))
    assert warning.startswith("compression: 60.00% of the parameters were to go, and 57.00% went (rounds: 1); More r")
    assert list(prune_warnings(report.model_copy(update={"compression": 0.57}))) == []
    (warning,) = prune_warnings(report.model_copy(update={"compression": 0.6, "rounds": 2 * report.rounds}))
    assert warning.endswith("the round after them was undone.")


def test_where_no_layer_can_be_pruned_the_answer_says_that() -> None:
    report = report_of(100, 100).model_copy(update={"layers": (), "rounds": (), "kept_rounds": 0})
    assert [warning[:25] for warning in prune_warnings(report)] == ["no layer can be pruned: t"]
