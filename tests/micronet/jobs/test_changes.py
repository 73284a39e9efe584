"""What a score tells of fusing and quantizing: the same as the jobs that write files of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from micronet.contract import Changes, ScoreResult, ScoreSettings
from micronet.jobs import Context, count_network
from tests.micronet.jobs.asking import ask

Digits = tuple[Path, dict[str, Any]]


def counted(path: Path | None, settings: Mapping[str, object]) -> ScoreResult:
    return count_network(ScoreSettings.model_validate_json(json.dumps(settings)), path, Context())


def changed(result: ScoreResult) -> Changes:
    assert result.changes is not None
    storage, operations = result.storage, result.operations
    after = (storage.parameters, storage.nonzero, operations.multiplications, operations.additions)
    assert tuple(result.changes.after.model_dump().values()) == after
    return result.changes


def test_a_score_tells_what_the_fuse_job_tells(digits: Digits) -> None:
    path, settings = digits
    fused = ask("fuse", path, {"architecture": settings["architecture"]})
    told = changed(ask("score", path, {**settings, "bits": None, "evaluate": False}))
    assert [(one.norm, one.into) for one in told.merged] == [("bn1", "conv1"), ("bn2", "conv2")]
    assert told == Changes(
        merged=fused.merged, removed=fused.removed, before=fused.before, after=fused.after, tensors=()
    )


@pytest.mark.parametrize("fuse", [True, False])
def test_a_score_tells_what_the_quantize_job_tells(digits: Digits, fuse: bool) -> None:
    path, settings = digits
    asked = {**settings, "bits": {"param_bits": 4, "mul_bits": 6}, "fuse_batchnorm": fuse}
    shared = ("track", "architecture", "bits", "fuse_batchnorm", "quantizer", "normalize", "seed")
    quantized = ask("quantize", path, {key: asked[key] for key in shared})
    told = changed(ask("score", path, {**asked, "evaluate": False}))
    assert (told.merged, told.tensors) == (quantized.merged, quantized.tensors)
    assert len(told.merged) == (2 if fuse else 0)
    assert told.before.nonzero > told.after.nonzero  # what 4 bits round to zero


def test_a_count_knows_the_widths_of_values_and_not_where_they_lie(digits: Digits) -> None:
    path, settings = digits
    scored = changed(ask("score", path, {**settings, "evaluate": False}))
    told = changed(counted(path, settings))
    unseen = {"points": None, "values": None, "clipped": None, "relative_squared_error": None}
    expected = [one if one.kind == "weight" else one.model_copy(update=unseen) for one in scored.tensors]
    assert list(told.tensors) == expected
    assert {one.kind for one in expected} == {"weight", "activation"}
    assert (told.merged, told.before, told.after) == (scored.merged, scored.before, scored.after)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bits": None}, True),
        ({"bits": None, "fuse_batchnorm": False}, False),
        ({"bits": {"param_bits": 32, "mul_bits": 32}, "fuse_batchnorm": False}, False),
        ({"bits": {"param_bits": 32, "mul_bits": 8}, "fuse_batchnorm": False}, True),
        ({"bits": {"param_bits": 8, "mul_bits": 32}, "fuse_batchnorm": False}, True),
    ],
)
def test_there_is_nothing_to_tell_where_nothing_was_done(digits: Digits, change: dict[str, Any], told: bool) -> None:
    path, settings = digits
    assert (counted(path, {**settings, **change}).changes is not None) == told
    assert (ask("score", path, {**settings, **change, "evaluate": False}).changes is not None) == told


def test_a_quantized_file_brings_its_grids(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    quantized = ask("quantize", path, {"track": "digits", "architecture": settings["architecture"]}, tmp_path)
    own = {"track": "digits", "evaluate": False}
    assert counted(tmp_path / "quantized.onnx", {**own, "bits": None}).changes is None
    told = changed(counted(tmp_path / "quantized.onnx", own))
    kept = [(one.kind, one.bits, one.points) for one in told.tensors]
    assert kept == [(one.kind, one.bits, one.points) for one in quantized.tensors]
    assert {one.relative_squared_error for one in told.tensors} == {None}
    assert told.before == told.after


def test_a_published_entry_has_its_batch_norms_merged(shared_dir: Path) -> None:
    """SCORING section 4: 467,824 + 9,160 parameters after fusing. Spelling changes no count, so both jobs agree."""
    path = shared_dir / "checkpoints" / "osi_60.onnx"
    told = changed(counted(path, {"policy": "challenge", "bits": None}))
    fused = ask("fuse", path, {})
    assert (len(told.merged), told.after.parameters) == (31, 467_824 + 9_160)
    assert (told.merged, told.before) == (fused.merged, fused.before)
    assert counted(shared_dir / "checkpoints" / "osi_60_folded.onnx", {"bits": None}).changes is None


def test_results_that_were_stored_before_are_read(digits: Digits) -> None:
    path, settings = digits
    result = counted(path, settings)
    old = {key: value for key, value in result.model_dump(mode="json").items() if key != "changes"}
    assert ScoreResult.model_validate_json(json.dumps(old)) == result.model_copy(update={"changes": None})
