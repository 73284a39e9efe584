"""Two processes that train together: one step is the single process's, and both end with the same network."""

import atexit
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed

from micronet.errors import SettingsError
from micronet.training.distributed import ALONE, World, is_first, join
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from tests.micronet.training import together
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task


def test_without_the_launcher_a_process_is_alone() -> None:
    assert join(torch.device("cpu")) == ALONE == World(rank=0, size=1)
    assert is_first()
    indices = torch.arange(7)
    assert ALONE.part(indices) is indices


def test_shares_are_equal_and_apart() -> None:
    indices = torch.arange(7)
    assert [World(rank, 2).part(indices).tolist() for rank in (0, 1)] == [[0, 1, 2], [3, 4, 5]]
    World(0, 3).check(129, images=3)
    with pytest.raises(SettingsError, match="multiple"):
        World(0, 3).check(128, images=1000)


def test_each_process_needs_an_image() -> None:
    """One image and two processes had a loss that is no number."""
    with pytest.raises(SettingsError, match=r"fewer training images \(1\) than processes \(2\)"):
        fit(TrainableNetwork(digits_graph()), SHORT, replace(digits_task(1), world=World(0, 2)))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_processes_wait_for_hours(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch gives up after 10 or 30 minutes, while the first process alone may measure for longer."""
    asked: list[tuple[str, timedelta]] = []
    monkeypatch.setattr(distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(distributed, "init_process_group", lambda backend, timeout: asked.append((backend, timeout)))
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(atexit, "register", lambda call: None)
    assert join(torch.device(device)) == World(1, 2)
    [(backend, timeout)] = asked
    assert backend == {"cpu": "gloo", "cuda": "nccl"}[device]
    assert timeout >= timedelta(hours=12)


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
