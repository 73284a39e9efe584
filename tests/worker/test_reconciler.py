"""What stands still for the length of a lease is dead, by this process's own clock."""

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
    stillness: Stillness[str] = Stillness(10, 10, clock)
    assert stillness.of(frozenset("ab")) == frozenset()
    clock.now = 9
    assert stillness.of(frozenset("abc")) == frozenset()
    clock.now = 10
    assert stillness.of(frozenset("bc")) == frozenset("b")
    clock.now = 19
    assert stillness.of(frozenset("ac")) == frozenset("c")  # a was away: it starts anew


def test_time_in_which_nobody_could_look_does_not_count() -> None:
    clock = Clock()
    stillness: Stillness[str] = Stillness(9, 3, clock)
    stillness.of(frozenset("a"))
    clock.now = 1000  # the database was away, for whoever beats too
    assert stillness.of(frozenset("a")) == frozenset()
    for clock.now in (1003, 1005):
        assert stillness.of(frozenset("a")) == frozenset()
    clock.now = 1006
    assert stillness.of(frozenset("a")) == frozenset("a")


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
