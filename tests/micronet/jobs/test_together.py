"""Jobs of two processes: one journal and one set of files for both, and the same answer, also when they go on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.micronet.jobs import together


def run(directory: Path, *kinds: str) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run(
        [*launcher, "-m", together.__name__, str(directory), *kinds],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]


def answers(directory: Path, kind: str) -> list[object]:
    return [json.loads((directory / who / f"{kind}.json").read_text()) for who in ("first", "other")]


@pytest.mark.slow
def test_of_two_processes_one_writes_and_both_answer_alike(tmp_path: Path) -> None:
    run(tmp_path, "train", "prune", "sparsify", "quantize")
    for kind in ("train", "prune", "sparsify", "quantize"):
        first, other = answers(tmp_path, kind)
        assert first == other
        assert [len(list((tmp_path / who / kind).iterdir())) for who in ("first", "other")] == [1, 0]


@pytest.mark.slow
def test_a_pipeline_of_two_processes_goes_on_from_a_stage_that_ended(tmp_path: Path) -> None:
    run(tmp_path, "pipeline")
    whole = answers(tmp_path, "pipeline")
    assert whole[0] == whole[1]
    for entry in (tmp_path / "pipeline-journal").glob("2-*"):
        entry.unlink()
    first_stage = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pipeline-journal").glob("1-*.done")}
    run(tmp_path, "pipeline")
    assert answers(tmp_path, "pipeline") == whole
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pipeline-journal").glob("1-*.done")}
    assert again == first_stage, "what had ended was not done again"
