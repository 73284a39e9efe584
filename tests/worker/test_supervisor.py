"""Which slot takes which job: nobody waits behind a week of training, and nothing computes beside short jobs."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.worker.records.making import accept
from worker import supervisor as module
from worker.blobs.memory import MemoryBlobs
from worker.job_run.context import WorkerContext
from worker.records import Records
from worker.records.values import Ending, Job, Status
from worker.runner import Runner
from worker.settings import Settings
from worker.slots import Slot, slots_of
from worker.supervisor import Supervisor

LEASE_SECONDS = 45.0


class NoProcess:
    """A runner that only remembers whether it was started."""

    started = False

    def start(self) -> None:
        self.started = True

    def close(self) -> None: ...


class Jobs:
    """What runs at a moment, by id, until the test ends it."""

    def __init__(self) -> None:
        self.running: dict[str, threading.Event] = {}
        self.changed = threading.Condition()

    def run(self, context: WorkerContext, job: Job, runner: Runner, device: str) -> None:
        ended = threading.Event()
        with self.changed:
            self.running[job.id] = ended
            self.changed.notify_all()
        assert ended.wait(20)
        context.records.leases.finish(job, Ending(Status.CANCELED))

    def end(self, job: Job) -> None:
        self.running.pop(job.id).set()

    def start(self, *jobs: Job) -> bool:
        """Whether all of them run, soon."""
        with self.changed:
            return self.changed.wait_for(lambda: all(job.id in self.running for job in jobs), 5)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    jobs = Jobs()
    monkeypatch.setattr(module, "run_job", jobs.run)
    yield jobs
    for ended in jobs.running.values():
        ended.set()


def supervisor(records: Records, tmp_path: Path, slots: tuple[Slot, ...]) -> Supervisor:
    context = WorkerContext(records, MemoryBlobs(), tmp_path, {}, 1.0, LEASE_SECONDS, threading.Event())
    return Supervisor(context, slots, "w")


def slots(**settings: object) -> tuple[Slot, ...]:
    return slots_of(Settings.model_validate(settings), lambda: cast(Runner, NoProcess()))


def status(records: Records, job: Job) -> Status:
    return records.jobs.read(job.id).status


def ring(supervisor: Supervisor, times: int = 3) -> None:
    for _ in range(times):
        threading.Thread(target=supervisor.work_off, daemon=True).start()


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes about within five seconds."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_a_short_job_runs_beside_a_long_one_and_a_second_long_one_waits(
    records: Records, tmp_path: Path, running: Jobs
) -> None:
    made = slots()
    watched = supervisor(records, tmp_path, made)
    long, other = accept(records, lane="long"), accept(records, lane="long")
    ring(watched)
    assert running.start(long)
    assert not cast(NoProcess, made[1].runner).started, "its process takes memory, and nobody needs it yet"
    assert soon(lambda: watched.free_lanes() == ("short",)), "of the threads that were rung, one may look there still"
    short, next_short = accept(records), accept(records)
    ring(watched)
    assert running.start(short)
    assert cast(NoProcess, made[1].runner).started
    assert watched.free_lanes() == ()
    assert status(records, other) == status(records, next_short) == Status.QUEUED
    running.end(short)
    assert running.start(next_short)
    running.end(long)
    assert running.start(other)


def test_short_jobs_of_a_worker_run_one_after_the_other(records: Records, tmp_path: Path, running: Jobs) -> None:
    watched = supervisor(records, tmp_path, slots())
    first, second = accept(records), accept(records)
    ring(watched)
    assert running.start(first)
    assert watched.free_lanes() == ()
    assert status(records, second) == Status.QUEUED
    running.end(first)
    assert running.start(second)


@pytest.mark.parametrize("lanes", ["short", "long"])
def test_a_worker_of_one_lane_has_no_slot_in_reserve(lanes: str) -> None:
    made = slots(lanes=lanes, slots=2)
    assert [slot.lanes for slot in made] == [(lanes,)] * len(made)
    assert not any(slot.reserved for slot in made)


def test_one_that_is_told_to_stop_claims_nothing(records: Records, tmp_path: Path, running: Jobs) -> None:
    watched = supervisor(records, tmp_path, slots())
    waits = accept(records)
    watched.stop()
    watched.work_off()
    assert watched.join(5)
    assert status(records, waits) == Status.QUEUED


def test_who_claims_says_how_long_his_lease_is(records: Records, tmp_path: Path, running: Jobs) -> None:
    job = accept(records)
    ring(supervisor(records, tmp_path, slots()))
    assert running.start(job)
    assert [lease.seconds for lease in records.leases.held()] == [LEASE_SECONDS]
