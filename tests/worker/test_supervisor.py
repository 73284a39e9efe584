"""Which slot takes which job: nobody waits behind a week of training, nothing computes beside short jobs, and a device
that does not answer is asked before the next job that needs it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from tests.worker.records.making import accept
from worker import silent_devices
from worker import supervisor as module
from worker.blobs.memory import MemoryBlobs
from worker.errors import DeviceUnavailable
from worker.job_run.context import WorkerContext
from worker.limits import JobLimits
from worker.records import Records
from worker.records.values import Ending, Event, Job, Status
from worker.runner import Runner
from worker.settings import Settings
from worker.slots import Slot, slots_of
from worker.supervisor import Supervisor

LEASE_SECONDS = 45.0
LANES = ("short", "long")


class NoProcess:
    """A runner that only remembers whether it was started."""

    started = False

    def start(self) -> None:
        self.started = True

    def close(self) -> None: ...


class Jobs:
    """What runs at a moment, by id, until the test ends it.

    silent   devices that no job can use: it waits again
    large    jobs that find no room
    tried    what jobs were given, each time
    stopping the flags of the workers that gave them
    """

    def __init__(self) -> None:
        self.running: dict[str, threading.Event] = {}
        self.changed = threading.Condition()
        self.silent: set[str] = set()
        self.large: set[str] = set()
        self.tried: list[tuple[str, str]] = []
        self.stopping: list[threading.Event] = []

    def run(self, context: WorkerContext, job: Job, runner: Runner, device: str) -> bool:
        self.stopping.append(context.stopping)
        self.tried.append((job.id, device))
        if device in self.silent and job.kind == "score":
            context.records.leases.give_back(job)
            return False
        if job.id in self.large:
            context.too_large.add(job.id)
            context.records.leases.give_back(job)
            return True
        ended = threading.Event()
        with self.changed:
            self.running[job.id] = ended
            self.changed.notify_all()
        assert ended.wait(20)
        context.records.leases.finish(job, Ending(Status.CANCELED))
        return True

    def check(self, runner: Runner, device: str, *_: object) -> None:
        if device in self.silent:
            raise DeviceUnavailable(f"{device} is not there")

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
    monkeypatch.setattr(module, "check_device", jobs.check)
    yield jobs
    for flag in (*jobs.stopping, *jobs.running.values()):  # nobody claims what the next test puts in the same database
        flag.set()


def supervisor(records: Records, tmp_path: Path, slots: tuple[Slot, ...]) -> Supervisor:
    limits = {"short": JobLimits(), "long": JobLimits()}
    context = WorkerContext(records, MemoryBlobs(), tmp_path, limits, 1.0, LEASE_SECONDS, threading.Event())
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


def test_one_that_does_not_stop_in_time_gives_its_job_back(records: Records, tmp_path: Path, running: Jobs) -> None:
    """As one that waits for a file which comes slowly; when it has come, the job is another worker's."""
    watched = supervisor(records, tmp_path, slots())
    job = accept(records)
    ring(watched, times=1)
    assert running.start(job)
    watched.stop()
    assert not watched.join(0.05)
    back = records.jobs.read(job.id)
    assert (back.status, back.attempt) == (Status.QUEUED, 0)
    again = records.leases.claim("another", ("short",))
    assert again is not None
    running.end(job)
    assert watched.join(5)
    assert status(records, job) == Status.RUNNING


def test_a_job_that_finds_no_room_holds_up_nobody(records: Records, tmp_path: Path, running: Jobs) -> None:
    watched = supervisor(records, tmp_path, slots())
    large, small = accept(records), accept(records)
    running.large = {large.id}
    ring(watched, times=1)
    assert running.start(small)
    running.end(small)
    assert watched.join(5), "it does not look for it again and again"
    assert [job for job, _ in running.tried] == [large.id, small.id]
    assert status(records, large) == Status.QUEUED


def test_who_claims_says_how_long_his_lease_is(records: Records, tmp_path: Path, running: Jobs) -> None:
    job = accept(records)
    ring(supervisor(records, tmp_path, slots()))
    assert running.start(job)
    assert [lease.seconds for lease in records.leases.held()] == [LEASE_SECONDS]


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, **settings: object) -> tuple[Slot, ...]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count))))
    return slots(**settings)


def test_a_device_that_does_not_answer_gets_no_other_job_until_it_does(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = supervisor(records, tmp_path, gpus(monkeypatch, 1))
    running.silent = {"cuda:0"}
    needing = [accept(records), accept(records)]
    watched.work_off()
    assert watched.is_silent("cuda:0")
    assert running.tried == [(needing[0].id, "cuda:0")], "the second was not even tried"
    assert watched.free_lanes() != (), "the keeper goes on to look"
    running.silent = set()
    watched.work_off()
    assert len(running.tried) == 1, "it rests as long as others need to find what it gave back"
    monkeypatch.setattr(silent_devices, "_REST_SECONDS", 0.0)
    watched = supervisor(records, tmp_path, gpus(monkeypatch, 1))
    running.silent, running.tried = {"cuda:0"}, []
    for _ in range(3):
        watched.work_off()
    assert len(running.tried) == 1, "it is asked each time, and does not answer"
    running.silent = set()
    ring(watched)
    assert running.start(needing[0])
    assert not watched.is_silent("cuda:0")
    running.end(needing[0])
    assert running.start(needing[1])


def test_jobs_that_need_no_device_are_done_without_one(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = supervisor(records, tmp_path, gpus(monkeypatch, 1))
    running.silent = {"cuda:0"}
    needing, counting = accept(records), accept(records, kind="count")
    ring(watched, times=1)
    assert running.start(counting)
    assert status(records, needing) == Status.QUEUED
    running.end(counting)
    assert soon(lambda: status(records, counting) == Status.CANCELED)
    assert status(records, needing) == Status.QUEUED


def test_a_device_that_may_hang_is_asked_when_nothing_else_waits(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silent_devices, "_REST_SECONDS", 0.0)
    watched = supervisor(records, tmp_path, gpus(monkeypatch, 1))
    running.silent = {"cuda:0"}
    watched._silent.add("cuda:0")
    accept(records)
    counting = [accept(records, kind="count") for _ in range(3)]
    asked = list[int]()
    check = running.check

    def check_and_see(runner: Runner, device: str, *_: object) -> None:
        asked.append(len(running.tried))
        check(runner, device)

    monkeypatch.setattr(module, "check_device", check_and_see)
    ring(watched, times=1)
    for job in counting:
        assert running.start(job)
        running.end(job)
    assert soon(lambda: asked == [3])


def test_of_several_devices_those_that_answer_do_the_work(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = supervisor(records, tmp_path, gpus(monkeypatch, 2))
    running.silent = {"cuda:0"}
    first, second = accept(records), accept(records)
    watched.work_off()  # returns when cuda:0 has failed and finds nothing for it
    ring(watched)
    assert running.start(first)
    assert running.tried == [(first.id, "cuda:0"), (first.id, "cuda:1")]
    counting = accept(records, kind="count")
    ring(watched)
    assert running.start(counting)
    assert running.tried[-1] == (counting.id, "cuda:0")
    assert status(records, second) == Status.QUEUED


def test_nobody_waits_for_a_device_that_does_not_answer_behind_a_week_of_training(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = supervisor(records, tmp_path, gpus(monkeypatch, 2))
    watched._silent.add("cuda:1")
    long = accept(records, kind="train", lane="long")
    ring(watched, times=1)
    assert running.start(long)
    short = accept(records)
    ring(watched)
    assert running.start(short)
    assert running.tried == [(long.id, "cuda:0"), (short.id, "cuda:0")], "on the slot in reserve"


def _lose_the_answer(records: Records, watched: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the next claim: it is written, and the database then stays away for longer than the worker's patience."""
    once = records.database._once

    def unheard(work: Callable[[Connection], object], write: bool) -> object:
        done = once(work, write)
        if write:
            raise OperationalError("COMMIT", {}, Exception("the connection broke"))
        return done

    with monkeypatch.context() as broken:
        broken.setattr(records.database, "_once", unheard)
        broken.setattr(records.database, "patience", 0.0)
        watched.work_off()


def _claims(records: Records, job: Job) -> int:
    return sum(entry.event is Event.CLAIMED for entry in records.jobs.log(job.id))


def test_a_job_whose_claim_was_written_and_not_answered_is_found_by_its_worker(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody had it, and the end of its lease counted as the death of a worker."""
    watched, job = supervisor(records, tmp_path, gpus(monkeypatch, 2)), accept(records)
    _lose_the_answer(records, watched, monkeypatch)
    assert (status(records, job), running.running) == (Status.RUNNING, {})
    assert records.leases.waiting(LANES) == 0, "no bell is rung for it, and none is found to wait"
    assert watched.is_in_doubt()
    assert watched.free_lanes() == LANES
    ring(watched, times=1)
    assert running.start(job)
    assert (records.jobs.read(job.id).attempt, _claims(records, job)) == (1, 1)
    assert not watched.is_in_doubt()


def test_so_is_one_of_the_slot_in_reserve_though_another_is_free_meanwhile(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, long = supervisor(records, tmp_path, slots()), accept(records, lane="long")
    ring(watched, times=1)
    assert running.start(long)
    short = accept(records)
    _lose_the_answer(records, watched, monkeypatch)
    running.end(long)
    assert soon(lambda: watched.free_lanes() == ("short",) and status(records, long) is Status.CANCELED)
    ring(watched, times=1)
    assert running.start(short)
    assert (records.jobs.read(short.id).attempt, _claims(records, short)) == (1, 1)


def test_one_that_stops_gives_it_back(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, job = supervisor(records, tmp_path, slots()), accept(records)
    _lose_the_answer(records, watched, monkeypatch)
    assert status(records, job) is Status.RUNNING
    watched.stop()
    assert watched.join(5)
    back = records.jobs.read(job.id)
    assert (back.status, back.attempt, running.running) == (Status.QUEUED, 0, {})


def test_a_claim_that_was_not_written_is_made_anew(
    records: Records, tmp_path: Path, running: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another worker took the job meanwhile, or its lease ended."""
    watched, job = supervisor(records, tmp_path, slots()), accept(records)
    _lose_the_answer(records, watched, monkeypatch)
    (lease,) = records.leases.held()
    assert records.leases.expire(lease) is Status.QUEUED
    other = records.leases.claim("another", LANES)
    assert other is not None
    later = accept(records)
    ring(watched, times=1)
    assert running.start(later)
    assert not watched.is_in_doubt()
    assert records.jobs.read(job.id).worker == "another"
