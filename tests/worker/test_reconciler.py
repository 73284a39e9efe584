"""What stands still for the length of a lease is dead, by this process's own clock."""

import pytest

from tests.worker.records.making import accept
from worker.reconciler import Reconciler, RollCall, Stillness
from worker.records import Records
from worker.records.values import Status, WorkerSeen


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_what_stood_still_all_the_time_is_still() -> None:
    clock = Clock()
    stillness: Stillness[str] = Stillness(clock)

    def look(now: float, things: str) -> frozenset[str]:
        clock.now = now
        return stillness.of(dict.fromkeys(things, 9.0))

    for now in (0, 3, 6):
        assert look(now, "ab") == frozenset()
    assert look(8, "abc") == frozenset()
    assert look(9, "bc") == frozenset("b")
    for now in (12, 14):
        assert look(now, "ac") == frozenset()
    assert look(17, "ac") == frozenset("c")  # a was away: it starts anew


def test_each_is_still_after_its_own_time() -> None:
    clock = Clock()
    stillness: Stillness[str] = Stillness(clock)
    seconds = {"brief": 3.0, "long": 30.0}
    found = {}
    for clock.now in range(40):
        found[clock.now] = stillness.of(seconds)
    assert min(now for now, still in found.items() if "brief" in still) == 3
    assert min(now for now, still in found.items() if "long" in still) == 30


def test_time_in_which_nobody_could_look_does_not_count() -> None:
    clock = Clock()
    stillness: Stillness[str] = Stillness(clock)
    stillness.of({"a": 9})
    clock.now = 1000  # the database was away, for whoever beats too
    assert stillness.of({"a": 9}) == frozenset()
    for clock.now in (1003, 1005):
        assert stillness.of({"a": 9}) == frozenset()
    clock.now = 1006
    assert stillness.of({"a": 9}) == frozenset("a")


def test_a_worker_whose_beat_stands_still_is_dead_and_one_that_beats_again_is_not(records: Records) -> None:
    clock = Clock()
    roll = RollCall(records.workers, 9, clock)

    def call(*beats: tuple[str, int]) -> tuple[list[str], list[str]]:
        for name, beat in beats:
            records.workers.beat(WorkerSeen(name, "host", "both", ("cpu",), (), "1", beat, ""))
        living, dead = roll.taken()
        return sorted(worker.id for worker in living), sorted(worker.id for worker in dead)

    assert call() == ([], [])
    assert call(("a", 1), ("b", 1)) == (["a", "b"], [])
    for clock.now in (3, 6):
        assert call(("a", int(clock.now))) == (["a", "b"], [])
    clock.now = 9
    assert call(("a", 9)) == (["a"], ["b"])
    assert call(("b", 2)) == (["a", "b"], [])


def test_a_worker_is_timed_as_it_said_itself(records: Records) -> None:
    clock = Clock()
    roll = RollCall(records.workers, 9, clock)
    for name, seconds in (("patient", 90.0), ("hasty", 3.0), ("old", None)):
        records.workers.beat(WorkerSeen(name, "host", "both", ("cpu",), (), "1", 1, "", seconds))
    died: dict[str, float] = {}
    for clock.now in range(100):
        for worker in roll.taken()[1]:
            died.setdefault(worker.id, clock.now)
    assert died == {"hasty": 3, "old": 9, "patient": 90}


def test_records_of_dead_workers_are_removed_by_those_that_live(records: Records) -> None:
    records.workers.beat(WorkerSeen("a", "host", "both", ("cpu",), (), "1", 1, ""))
    Reconciler(records, lease_seconds=1000).forget_dead_workers()
    assert [worker.id for worker in records.workers.all()] == ["a"]
    Reconciler(records, lease_seconds=0.0).forget_dead_workers()
    assert records.workers.all() == ()


def test_a_lease_seen_once_expires_without_any_clock_of_the_day(records: Records) -> None:
    accept(records)
    job = records.leases.claim("w", ("short",))
    assert job is not None
    reconciler = Reconciler(records, lease_seconds=0.0)
    records.leases.beat(job, None)
    assert reconciler.take_back() == 1
    assert records.jobs.read(job.id).status is Status.QUEUED


def test_a_beating_job_is_left_alone(records: Records) -> None:
    accept(records)
    job = records.leases.claim("w", ("short",))
    assert job is not None
    reconciler = Reconciler(records, lease_seconds=1000)
    for _ in range(3):
        records.leases.beat(job, None)
        assert reconciler.take_back() == 0
    assert records.jobs.read(job.id).status is Status.RUNNING


@pytest.mark.parametrize(("said", "expires"), [(90.0, 90), (3.0, 3), (None, 9)])
def test_a_lease_is_as_long_as_its_holder_said_whatever_the_observer_has_himself(
    records: Records, said: float | None, expires: int
) -> None:
    accept(records)
    job = records.leases.claim("w", ("short",), said)
    assert job is not None
    clock = Clock()
    reconciler = Reconciler(records, lease_seconds=9, clock=clock)
    for clock.now in range(expires):
        assert reconciler.take_back() == 0
    clock.now = expires
    assert reconciler.take_back() == 1
    assert records.jobs.read(job.id).status is Status.QUEUED


def test_who_takes_a_job_over_has_a_lease_of_his_own(records: Records) -> None:
    accept(records)
    for said in (90.0, None, 3.0):
        job = records.leases.claim("w", ("short",), said)
        assert job is not None
        assert [lease.seconds for lease in records.leases.held()] == [said]
        records.leases.give_back(job)
