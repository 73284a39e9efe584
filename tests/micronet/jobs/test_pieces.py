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
        if "rounds" in stage:
            stage["rounds"] = 1
    return {**whole, "holdout": 0.005, "train_images": 8, "evaluate": False}


def run(settings: dict[str, Any], data: Path, outputs: Path, **context: Any) -> PipelineResult:
    outputs.mkdir(exist_ok=True)
    asked = PipelineSettings.model_validate(settings)
    result = JOBS["pipeline"].run(asked, None, Context(data, "cpu", outputs=outputs, **context))
    assert isinstance(result, PipelineResult)
    return result


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least", "large"), [("cifar100", 8, False), ("cifar100-teacher", 4, True)])
def test_in_pieces_it_ends_with_the_same_bits_and_little_has_to_travel(
    name: str, least: int, large: bool, few_cifar100_dir: Path, tmp_path: Path
) -> None:
    """A pause at every entry of the journal, whole networks; and nothing is left there that one go does not leave."""
    settings = tiny(name)
    whole = run(settings, few_cifar100_dir, tmp_path / "whole", journal=tmp_path / "one-go")
    journal, outputs, sizes = tmp_path / "journal", tmp_path / "pieces", list[int]()
    while True:
        try:
            result = run(settings, few_cifar100_dir, outputs, journal=journal, pause_at=time.monotonic())
            break
        except Paused:
            files = [path.stat().st_size for path in journal.iterdir()]
            sizes.append(sum(files))
            assert max(files) <= FILE_BYTES
    assert len(sizes) >= least
    assert max(sizes) <= ALL_BYTES, "all of it may go at once"
    assert (max(sizes) > FILE_BYTES) is large, "what is larger than a file may be lies in parts"
    assert result == whole
    left = [sum(path.stat().st_size for path in there.iterdir()) for there in (journal, tmp_path / "one-go")]
    assert left[0] == pytest.approx(left[1], rel=0.01)
    for made in (tmp_path / "whole").iterdir():
        assert made.read_bytes() == (outputs / made.name).read_bytes()
