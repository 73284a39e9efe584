"""Two processes that train together: one step is the single process's, and both end with the same network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from micronet.errors import SettingsError
from micronet.training.distributed import ALONE, World, is_first, join
from tests.micronet.training import together


def test_without_the_launcher_a_process_is_alone() -> None:
    assert join(torch.device("cpu")) == ALONE == World(rank=0, size=1)
    assert is_first()
    indices = torch.arange(7)
    assert ALONE.part(indices) is indices


def test_shares_are_equal_and_apart() -> None:
    indices = torch.arange(7)
    assert [World(rank, 2).part(indices).tolist() for rank in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    World(0, 3).check(129)
    with pytest.raises(SettingsError, match="multiple"):
        World(0, 3).check(128)


@pytest.mark.slow
def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    """Without batch norm the mean of two halves' gradients is the whole batch's, but for the order of sums: 1e-6."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run(
        [*launcher, "-m", together.__name__, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]

    alone, report = together.learned(
        tmp_path / "alone", ALONE, together.HOW.model_copy(update={"steps": 1}), fused=True
    )
    for name, *_ in together.VARIANTS:
        one, other = (torch.load(tmp_path / f"{name}.{rank}.pth", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(weight, other[key]) for key, weight in one.items())
        reports = [json.loads((tmp_path / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]
        assert reports[0] == reports[1]
        assert (tmp_path / name / "0" / "fit").exists()
        assert not (tmp_path / name / "1" / "fit").exists()  # the first alone writes

    shared = torch.load(tmp_path / "one_step.0.pth", weights_only=True)
    for key, weight in alone.weights.items():
        torch.testing.assert_close(shared[key], weight, rtol=1e-5, atol=1e-6)
    told = json.loads((tmp_path / "one_step.0.json").read_text())
    assert told["epochs"][0]["loss"] == pytest.approx(report["epochs"][0]["loss"], rel=1e-5)  # type: ignore[index]
