"""The recipes for CIFAR-100 in pieces, as on a machine that is lent for minutes: in the end the same bits, and nothing
that has to travel in between is large."""

import time
from pathlib import Path
from typing import Any

import pytest

from micronet.contract import PipelineResult, PipelineSettings
from micronet.contract.pipeline import recipe
from micronet.errors import Paused
from micronet.jobs import JOBS, Context

FILE_BYTES, ALL_BYTES = 16 << 20, 64 << 20
"""What such a machine gives back, file by file and in all."""


def tiny(name: str, **architecture: Any) -> dict[str, Any]:
    """The recipe with two epochs of one step of 8 images wherever it learns, and one round wherever it has rounds."""
    whole = recipe(name)
    whole["architecture"]["options"].update(architecture)
    for stage in whole["stages"]:
        for learning in (stage if stage["stage"] == "train" else None, stage.get("fine_tuning")):
            if learning is not None:
                learning |= {"epochs": 2, "batch": 8}
        for few in ("rounds", "factor_images"):
            if few in stage:
                stage[few] = {"rounds": 1, "factor_images": 2}[few]
        stage.pop("compression", None)
    return {**whole, "holdout": 0.0005, "train_images": 8, "evaluate": False}


def run(settings: dict[str, Any], data: Path, outputs: Path, **context: Any) -> PipelineResult:
    outputs.mkdir(exist_ok=True)
    asked = PipelineSettings.model_validate(settings)
    result = JOBS["pipeline"].run(asked, None, Context(data, "cpu", outputs=outputs, **context))
    assert isinstance(result, PipelineResult)
    return result


@pytest.mark.slow
def test_in_pieces_it_ends_with_the_same_bits(cifar100_dir: Path, tmp_path: Path) -> None:
    """A pause at every entry of the journal."""
    settings = tiny("cifar100", width_multiplier=0.1)
    whole = run(settings, cifar100_dir, tmp_path / "whole")
    pieces = 0
    while True:
        outputs = tmp_path / f"piece-{pieces}"
        try:
            result = run(settings, cifar100_dir, outputs, journal=tmp_path / "journal", pause_at=time.monotonic())
            break
        except Paused:
            pieces += 1
    assert pieces > 10
    assert result == whole
    assert [stage.stage for stage in result.stages] == ["train", "prune", "sparsify", "fuse"]
    for made in (tmp_path / "whole").iterdir():
        assert made.read_bytes() == (outputs / made.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar100", "cifar100-teacher"])
def test_what_a_piece_leaves_behind_is_small_enough_to_travel(name: str, cifar100_dir: Path, tmp_path: Path) -> None:
    """Whole networks, after an epoch and when the training is done."""
    settings = tiny(name)
    settings["stages"] = settings["stages"][:1]
    journal = tmp_path / "journal"
    seen = []
    for _ in range(4):
        try:
            run(settings, cifar100_dir, tmp_path / "made", journal=journal, pause_at=time.monotonic())
        except Paused:
            sizes = [path.stat().st_size for path in journal.iterdir()]
            seen.append(sum(sizes))
            assert max(sizes) <= FILE_BYTES
    assert 16 << 20 < max(seen) <= ALL_BYTES
