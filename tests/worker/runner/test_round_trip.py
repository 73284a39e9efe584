"""Real jobs in real processes: the same result as without them, and a warm start."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch

from micronet.architectures.load import create_network
from micronet.contract import ScoreSettings
from micronet.jobs import JOBS, Context
from tests.trips.networks import UNQUANTIZED, write_greedy
from tests.worker.runner.conftest import heard, wait_until_ready
from worker.errors import DeviceUnavailable, RunnerUnavailable
from worker.limits import GIBI, MEBI, JobLimits
from worker.runner import Runner, device_check
from worker.runner.device_check import check_device
from worker.runner.exits import error_of_exit
from worker.runner.messages import Done, Exited, Failed, JobRequest, Message, Progressed, StageBegan
from worker.runner.outputs import collect
from worker.sandbox import available

COUNT = {"track": "digits", "architecture": {"name": "digits"}, "evaluate": False, "bits": None}
SCORE = {"track": "digits", "architecture": {"name": "digits"}}


def score(settings: dict[str, object], device: str = "cpu") -> JobRequest:
    return JobRequest("score", json.dumps(settings), device)


def test_a_count_goes_through(runner: Runner, scratch: Path, digits: bytes) -> None:
    (scratch / "in" / "checkpoint").write_bytes(digits)
    running = runner.run(score(COUNT), scratch, JobLimits())
    messages = heard(running)
    assert [type(message) for message in messages] == [StageBegan, StageBegan, Done, Exited]
    assert messages[:2] == [StageBegan("read", 1, 2), StageBegan("count", 2, 2)]
    exited = messages[-1]
    assert isinstance(exited, Exited)
    assert exited.clean
    assert 50 * MEBI < exited.max_rss < 2 * GIBI
    assert running.log_tail(1000) == b""
    assert running.messages(0) == []
    result, artifacts = collect(scratch, "score", MEBI)
    expected = JOBS["score"].run(ScoreSettings.model_validate(COUNT), scratch / "in" / "checkpoint", Context())
    assert result == expected.model_dump_json()
    assert artifacts == []


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_measured_score_is_the_same_as_without_a_runner(
    runner: Runner, scratch: Path, digits: bytes, device: str
) -> None:
    (scratch / "in" / "checkpoint").write_bytes(digits)
    messages = heard(runner.run(score(SCORE, device), scratch, JobLimits()))
    assert isinstance(messages[-2], Done), messages
    progress = [message for message in messages if isinstance(message, Progressed)]
    assert progress[-1].done == progress[-1].total
    expected = JOBS["score"].run(
        ScoreSettings.model_validate(SCORE), scratch / "in" / "checkpoint", Context(device=device)
    )
    assert collect(scratch, "score", MEBI)[0] == expected.model_dump_json()


def test_a_device_that_is_not_there_is_no_fault_of_the_sender(runner: Runner, scratch: Path, digits: bytes) -> None:
    (scratch / "in" / "checkpoint").write_bytes(digits)
    failed, _ = heard(runner.run(score(SCORE, "cuda:99"), scratch, JobLimits()))[-2:]
    assert isinstance(failed, Failed), failed
    assert (failed.error.code, failed.error.yours, failed.error.retryable) == ("device-unavailable", False, True)
    assert "'cuda:99': this machine has cpu" in failed.error.detail


@pytest.mark.parametrize("kind", [kind for kind, job in JOBS.items() if not job.needs_device])
def test_what_needs_no_device_is_done_without(runner: Runner, scratch: Path, digits: bytes, kind: str) -> None:
    (scratch / "in" / "checkpoint").write_bytes(digits)
    settings = COUNT if kind == "count" else {"architecture": {"name": "digits"}}
    messages = heard(runner.run(JobRequest(kind, json.dumps(settings), "cuda:99"), scratch, JobLimits()))
    assert messages[-2:] == [Done(), messages[-1]]


def test_a_device_is_asked_by_a_process_that_uses_it(runner: Runner, new_scratch: Callable[[], Path]) -> None:
    check_device(runner, "cpu", new_scratch(), JobLimits())
    with pytest.raises(DeviceUnavailable, match="'cuda:99': this machine has cpu"):
        check_device(runner, "cuda:99", new_scratch(), JobLimits())
    with pytest.raises(RunnerUnavailable):
        check_device(runner, "cpu", new_scratch(), JobLimits(), interrupted=lambda: True)
    check_device(runner, "cpu", new_scratch(), JobLimits())


class Ending:
    """A runner whose processes say so much and no more. `killed`: whether the last was ended."""

    def __init__(self, *said: Message) -> None:
        self._said, self.killed = list(said), False

    def run(self, *_: object) -> "Ending":
        return self

    def messages(self, _: float) -> list[Message]:
        said, self._said = self._said, []
        return said

    def kill(self) -> None:
        self.killed = True


def test_a_device_that_ends_its_process_or_keeps_it_does_not_answer(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_check, "_LONGEST_SECONDS", 0.1)
    for runner, words in (Ending(Exited(-11)), "ended with -11"), (Ending(), "no answer within 0.1 seconds"):
        with pytest.raises(DeviceUnavailable, match=words):
            check_device(cast(Runner, runner), "cuda:0", scratch, JobLimits())
        assert runner.killed


def test_the_second_job_is_as_warm_as_the_third(
    runner: Runner, new_scratch: Callable[[], Path], digits: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = []
    for _ in range(4):
        scratch = new_scratch()
        (scratch / "in" / "checkpoint").write_bytes(digits)
        begin = time.perf_counter()
        heard(runner.run(score(COUNT), scratch, JobLimits()))
        seconds.append(round(time.perf_counter() - begin, 3))
    with capsys.disabled():
        print(f"\ncounting jobs, from order to exit: {seconds} s")


QUANTIZE = {**SCORE, "bits": {"param_bits": 8, "mul_bits": 8}}
BRIEF = {"epochs": 1, "batch": 64, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}


@pytest.mark.parametrize("train", [None, BRIEF])
def test_a_job_that_its_settings_make_long_writes_down_how_far_it_is(
    runner: Runner, scratch: Path, digits: bytes, train: dict[str, object] | None
) -> None:
    (scratch / "in" / "checkpoint").write_bytes(digits)
    request = JobRequest("quantize", json.dumps({**QUANTIZE, "train": train}), "cpu")
    messages = heard(runner.run(request, scratch, JobLimits()), 240)
    assert isinstance(messages[-2], Done), messages
    assert bool(list((scratch / "journal").iterdir())) == (train is not None)


def test_errors_of_the_tree_keep_their_code(runner: Runner, scratch: Path) -> None:
    (scratch / "in" / "checkpoint").write_bytes(b"no checkpoint at all")
    *_, failed, exited = heard(runner.run(score(COUNT), scratch, JobLimits()))
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.stage, failed.error.yours) == ("unknown-format", "read", True)
    assert isinstance(exited, Exited)
    assert exited.status == 1


def test_a_real_job_that_needs_more_memory_than_it_may_have(runner: Runner, scratch: Path) -> None:
    options: dict[str, object] = {"width": 1024}
    torch.save(create_network("digits", options, 0).state_dict(), scratch / "in" / "checkpoint")
    wide = {"track": "digits", "architecture": {"name": "digits", "options": options}}
    *_, failed, _ = heard(runner.run(score(wide), scratch, JobLimits(memory_bytes=300 * MEBI)))
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.stage) == ("out-of-memory", "read")


def test_a_few_hundred_bytes_may_not_have_all_the_memory_they_ask_for(runner: Runner, scratch: Path) -> None:
    """Nine values of 25.6 MB an image, and no batch has fewer than four: 0.9 GB."""
    assert write_greedy(scratch / "in" / "checkpoint", factor=100_000, copies=8).stat().st_size < 1000
    request, most = JobRequest("score", UNQUANTIZED, "cpu"), 512 * MEBI
    *_, failed, exited = heard(runner.run(request, scratch, JobLimits(memory_bytes=most)))
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.stage, failed.error.yours) == ("out-of-memory", "evaluate", True)
    assert isinstance(exited, Exited)
    assert exited.max_rss < most


def test_a_real_job_that_computes_too_long(runner: Runner, scratch: Path, shared_dir: Path, cifar100_dir: Path) -> None:
    checkpoint = shared_dir / "checkpoints" / "kaist_v2_pr45.onnx"
    (scratch / "in" / "checkpoint").write_bytes(checkpoint.read_bytes())
    with_data = Runner(cifar100_dir)
    with_data.start()
    try:
        limits = JobLimits(cpu_seconds=3)
        messages = heard(with_data.run(score({"policy": "challenge"}), scratch, limits))
    finally:
        with_data.close()
    exited = messages[-1]
    assert isinstance(exited, Exited)
    assert error_of_exit(exited, limits).code == "cpu-time-limit"
    assert not any(isinstance(message, Failed) for message in messages), messages


def test_a_runner_says_what_holds_its_jobs(runner: Runner) -> None:
    assert runner.isolation == available()


def test_one_job_at_a_time(runner: Runner, new_scratch: Callable[[], Path], digits: bytes) -> None:
    scratch = new_scratch()
    (scratch / "in" / "checkpoint").write_bytes(digits)
    running = runner.run(score(SCORE), scratch, JobLimits())
    assert not runner.ready
    with pytest.raises(RuntimeError, match="one job at a time"):
        runner.run(score(SCORE), new_scratch(), JobLimits())
    heard(running)
    wait_until_ready(runner)


def test_settings_of_any_size_reach_the_job(runner: Runner, scratch: Path, digits: bytes) -> None:
    (scratch / "in" / "checkpoint").write_bytes(digits)
    request = JobRequest("score", json.dumps(COUNT) + " " * (1 << 20), "cpu")
    assert isinstance(heard(runner.run(request, scratch, JobLimits()))[-2], Done)


def test_no_descriptor_is_left_open(runner: Runner, new_scratch: Callable[[], Path], digits: bytes) -> None:
    def one() -> None:
        scratch = new_scratch()
        (scratch / "in" / "checkpoint").write_bytes(digits)
        heard(runner.run(score(COUNT), scratch, JobLimits()))

    one()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        one()
    # One per job would be a leak; what another test's thread opens or closes meanwhile is none of theirs.
    assert len(os.listdir("/proc/self/fd")) < before + 3
