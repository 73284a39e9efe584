"""Housekeeping: signs of life are given whatever else takes long, or fails."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from worker import main
from worker.blobs.memory import MemoryBlobs
from worker.errors import Unavailable
from worker.main import Worker
from worker.records import Records
from worker.runner import Runner
from worker.settings import Settings
from worker.slots import Slot
from worker.supervisor import Supervisor


class Idle:
    """A supervisor that has nothing to do, and whose second GPU is gone."""

    def free_lanes(self) -> tuple[str, ...]:
        return ()

    def is_silent(self, device: str) -> bool:
        return device == "cuda:1"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    settings = Settings(home=tmp_path, reconcile_seconds=0.02, sweep_seconds=0.02, lease_seconds=77)
    records = Records(settings.database)
    stopping = threading.Event()
    yield Worker("w", settings, records, MemoryBlobs(), (), cast(Supervisor, Idle()), stopping)
    stopping.set()
    records.close()


def beat(worker: Worker) -> int:
    return max((seen.beat for seen in worker.records.workers.all()), default=0)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_worker_beats_while_a_sweep_takes_long(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping, swept = threading.Event(), threading.Event()

    def sweep(*_: object) -> None:
        sweeping.set()
        assert swept.wait(30)

    monkeypatch.setattr(main, "sweep", sweep)
    keeper = main._start_housekeeping(worker)
    try:
        assert sweeping.wait(20)
        before = beat(worker)
        until(lambda: beat(worker) > before + 3)
    finally:
        swept.set()
        worker.stopping.set()
        keeper.join(20)
    assert not keeper.is_alive()


@pytest.mark.parametrize("trouble", [Unavailable("away"), OSError("away"), ValueError("a fault of ours")])
def test_what_fails_once_is_done_the_next_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    beats, troubles, sweeps = worker.records.workers.beat, [trouble, trouble], list[object]()

    def fail() -> None:
        if troubles:
            raise troubles.pop()

    monkeypatch.setattr(worker.records.workers, "beat", lambda seen: (fail(), beats(seen)))
    monkeypatch.setattr(main, "sweep", lambda *_: (fail(), sweeps.append(None)))
    keeper = main._start_housekeeping(worker)
    until(lambda: beat(worker) > 3 and len(sweeps) > 3)
    worker.stopping.set()
    keeper.join(20)
    assert troubles == []


def test_a_worker_says_which_of_its_devices_does_not_answer(worker: Worker) -> None:
    both = tuple(Slot(device, cast(Runner, None), ("short",)) for device in ("cuda:0", "cuda:1"))
    assert main._devices(replace(worker, slots=both)) == ("cuda:0", "cuda:1 (does not answer)")


def test_a_worker_says_how_long_its_silence_may_last(worker: Worker) -> None:
    keeper = main._start_housekeeping(worker)
    until(lambda: beat(worker) > 0)
    worker.stopping.set()
    keeper.join(20)
    assert [seen.lease_seconds for seen in worker.records.workers.all()] == [77]


class InDoubt(Idle):
    """A supervisor whose slot may have a job that it was not told of, and has not been asked about yet."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def free_lanes(self) -> tuple[str, ...]:
        return ("short",)

    def is_in_doubt(self) -> bool:
        return True

    def work_off(self) -> None:
        self.asked.set()


def test_who_may_have_a_job_that_it_was_not_told_of_asks_though_none_waits(worker: Worker) -> None:
    supervisor, slot = InDoubt(), Slot("cpu", cast(Runner, NoProcess()), ("short",))
    keeper = main._start_housekeeping(replace(worker, slots=(slot,), supervisor=cast(Supervisor, supervisor)))
    assert supervisor.asked.wait(20)
    worker.stopping.set()
    keeper.join(20)


class NoProcess:
    """A runner that is never used."""

    isolation = None

    def start(self) -> None: ...


def test_every_thread_of_a_worker_with_many_slots_has_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slot's job, its heartbeat and its journal; and those that beat for the worker, and sweep."""
    slots = tuple(Slot("cpu", cast(Runner, NoProcess()), ("short", "long")) for _ in range(64))
    monkeypatch.setattr(main, "slots_of", lambda *_: slots)
    opened = main._open(Settings(home=tmp_path))
    opened.records.database.patience = 0.0
    with ExitStack() as stack:
        stack.callback(opened.records.close)
        for _ in range(3 * len(slots) + 1):
            stack.enter_context(opened.records.database.engine.connect())
        assert opened.records.tokens.count() == {}
