"""A worker's GPUs, by a stand-in for nvidia-smi: how many there are, and why there are none."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from worker import devices as module
from worker.devices import NoDriver, devices, devices_found


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an nvidia-smi that the search path finds first."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "nvidia-smi"


def _answers(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_each_line_is_a_gpu(answering: Path) -> None:
    _answers(answering, "echo GPU-1; echo GPU-2")
    assert devices() == ("cuda:0", "cuda:1")
    assert devices(slots=1) == ("cuda:0",)


def test_without_a_driver_it_says_why_jobs_run_on_the_cpu(answering: Path) -> None:
    _answers(answering, "echo 'no driver' >&2; exit 9")
    with capture_logs() as logged:
        assert devices() == ("cpu",)
    assert [(entry["event"], entry["reason"]) for entry in logged] == [
        ("no GPU is used", "nvidia-smi fails: no driver")
    ]


def test_a_driver_that_cannot_be_run_is_no_end_of_the_worker(answering: Path) -> None:
    answering.write_text("#!/nowhere/sh\n")
    answering.chmod(0o755)
    assert devices(slots=2) == ("cpu", "cpu")
    with pytest.raises(NoDriver, match="nvidia-smi cannot be run"):
        devices_found()


def test_a_driver_that_hangs_is_not_waited_for(answering: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.2)
    _answers(answering, "exec sleep 60")
    with capture_logs() as logged:
        assert devices() == ("cpu",)
    assert [entry["reason"] for entry in logged] == ["nvidia-smi does not answer within 0.2 seconds"]
