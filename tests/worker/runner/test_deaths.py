"""kill -9 of each of the three processes: nothing stays, and what is left goes on."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.worker.runner.conftest import (
    REPOSITORY,
    alive,
    heard,
    hostile_spares,
    request_of,
    wait_for,
    wait_until_ready,
)
from worker.errors import RunnerUnavailable
from worker.limits import JobLimits
from worker.runner import Runner, client
from worker.runner import running as running_module
from worker.runner.exits import KILLED, error_of_exit
from worker.runner.messages import Exited
from worker.runner.running import Running


@pytest.fixture
def spares() -> list[int]:
    """Process ids of the spares that `watched` started."""
    return []


@pytest.fixture
def watched(spares: list[int]) -> Iterator[Runner]:
    """A runner of hostile jobs whose spares are known."""

    def log(event: str, **values: int) -> None:
        if event == "runner started":
            spares.append(values["pid"])

    with hostile_spares():
        runner = Runner(None, log)
        runner.start()
        wait_until_ready(runner)
        yield runner
        runner.close()
    assert not any(map(alive, spares))


def sleeping(runner: Runner, scratch: Path) -> Running:
    running = runner.run(request_of("sleep"), scratch, JobLimits())
    assert running.messages(30)
    return running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_tells_all_processes_to_stop_leaves_the_job_to_its_supervisor(
    watched: Runner, spares: list[int], scratch: Path, number: signal.Signals
) -> None:
    """As Ctrl-C in a terminal does, and systemd with all of a service's processes."""
    running = sleeping(watched, scratch)
    for pid in (running.pid, spares[0]):
        os.kill(pid, number)
    time.sleep(0.3)
    assert alive(running.pid)
    assert running.kill()
    assert len(spares) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_supervisor_dies(scratch: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.worker.runner.supervisor", str(scratch)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = list(map(int, process.stdout.readline().split()))
        assert all(map(alive, pids))
        os.kill(pids[0], number)
    wait_for(lambda: not any(map(alive, pids)), 3)


def test_the_spare_dies_in_mid_job(watched: Runner, spares: list[int], new_scratch: Callable[[], Path]) -> None:
    running = sleeping(watched, new_scratch())
    os.kill(spares[0], signal.SIGKILL)
    exited = heard(running)[-1]
    assert exited == Exited(None, 0)
    assert not alive(running.pid)
    assert error_of_exit(Exited(None), JobLimits()).code == KILLED
    wait_until_ready(watched)
    assert len(spares) == 2
    assert sleeping(watched, new_scratch()).kill()


def test_the_spare_dies_between_jobs(watched: Runner, spares: list[int], scratch: Path) -> None:
    os.kill(spares[0], signal.SIGKILL)
    wait_for(lambda: not alive(spares[0]), 5)
    assert sleeping(watched, scratch).kill()  # waits for the next to be warm
    assert len(spares) == 2


def test_the_child_dies(watched: Runner, spares: list[int], scratch: Path) -> None:
    running = sleeping(watched, scratch)
    os.kill(running.pid, signal.SIGKILL)
    exited = heard(running)[-1]
    assert isinstance(exited, Exited)
    error = error_of_exit(exited, JobLimits(), "sleep")
    assert (error.code, error.retryable, error.yours, error.stage) == ("killed", True, False, "sleep")
    wait_until_ready(watched)
    assert len(spares) == 1


def test_a_spare_that_hangs_is_killed_with_its_job(watched: Runner, spares: list[int], scratch: Path) -> None:
    running = sleeping(watched, scratch)
    os.kill(spares[0], signal.SIGSTOP)
    begin = time.monotonic()
    assert running.kill()
    assert time.monotonic() - begin < 2
    assert not alive(running.pid)
    wait_until_ready(watched)


def test_a_job_that_dies_slowly_makes_the_next_one_wait(
    watched: Runner, spares: list[int], new_scratch: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = sleeping(watched, new_scratch())
    with monkeypatch.context() as hurried:  # as if the kernel took longer than that to take its memory back
        hurried.setattr(running_module, "_SECONDS_FOR_SPARE", 0.0)
        hurried.setattr(running_module, "_SECONDS_FOR_KERNEL", 0.0)
        assert not running.kill()
    assert sleeping(watched, new_scratch()).kill()
    assert len(spares) == 2
    assert not alive(running.pid)


def test_closing_ends_the_job(watched: Runner, spares: list[int], scratch: Path) -> None:
    running = sleeping(watched, scratch)
    watched.close()
    assert not alive(running.pid)
    assert not alive(spares[0])
    assert heard(running) == [Exited(None, 0)]
    with pytest.raises(RunnerUnavailable):
        watched.run(request_of("sleep"), scratch, JobLimits())


def test_a_spare_that_cannot_start_is_tried_again_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SPARE", "worker.no_such_module")
    events: list[str] = []
    runner = Runner(None, lambda event, **_: events.append(event))
    runner.start()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert not runner.ready
        time.sleep(0.01)
    runner.close()
    assert 1 <= events.count("runner died") <= 3


def test_many_kills_in_a_row(watched: Runner, spares: list[int], new_scratch: Callable[[], Path]) -> None:
    for pause in range(10):
        running = watched.run(request_of("sleep"), new_scratch(), JobLimits())
        time.sleep(pause / 200)
        assert running.kill()
        assert not alive(running.pid)
    wait_until_ready(watched)
    assert len(spares) == 1


def test_whoever_waits_for_a_spare_can_be_interrupted(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    with hostile_spares(), monkeypatch.context() as sleepy:  # which ends before the other does
        sleepy.setattr(client, "SPARE", "tests.worker.runner.sleepy_spare")
        runner = Runner(None)
        runner.start()
        asks = iter([False] * 5)
        with pytest.raises(RunnerUnavailable, match="may not start"):
            runner.run(request_of("sleep"), scratch, JobLimits(), lambda: next(asks, True))
        runner.close()


def test_what_is_interrupted_is_not_started(watched: Runner, scratch: Path) -> None:
    with pytest.raises(RunnerUnavailable):
        watched.run(request_of("sleep"), scratch, JobLimits(), lambda: True)
    assert watched.ready


def test_a_spare_that_finds_no_room_is_tried_again(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    with hostile_spares():
        runner = Runner(None)
        with monkeypatch.context() as crowded:
            crowded.setattr(subprocess, "Popen", _no_room)
            runner.start()
            assert not runner.ready
        runner.run(request_of("sleep"), scratch, JobLimits()).kill()
        runner.close()


def _no_room(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
