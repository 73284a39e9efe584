"""The sum kept of what an owner holds is the sum of what he holds, whatever came, went, failed or was tried again."""

import random
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.exc import OperationalError

from tests.worker.records.making import new_job, store
from tests.worker.records.plans import goes_through_all, plans_of
from worker.errors import CheckpointNotFound, JobNotEnded, StorageQuota
from worker.records import Records, database
from worker.records.jobs import Filter, Upload
from worker.records.tables import blobs, holdings, stored_bytes
from worker.records.values import Artifact, Ending, Status, StoredBlob

OWNERS, CONTENTS, QUOTA = ("", "blue", "red"), range(6), 1000
LANES = ("short",)


def _sums(records: Records) -> dict[str, int]:
    query = select(holdings.c.owner, func.sum(blobs.c.size)).join(blobs, blobs.c.sha256 == holdings.c.sha256)
    rows = records.database.read(lambda connection: connection.execute(query.group_by(holdings.c.owner)).all())
    return {owner: int(size) for owner, size in rows}


def _kept(records: Records) -> dict[str, int]:
    return {owner: records.blobs.stored_bytes(owner) for owner in OWNERS}


class _Walk:
    """What clients, workers and sweeps may do, each with a random choice of what to do it to."""

    def __init__(self, records: Records, chance: random.Random) -> None:
        self.records, self.chance = records, chance

    def steps(self) -> list[Callable[[], object]]:
        return [self.add, self.add, self.submit, self.use, self.run, self.run, self.cancel, self.delete, self.delete,
                self.replace, self.forget, self.sweep]  # fmt: skip

    def _blob(self) -> StoredBlob:
        content = self.chance.choice(CONTENTS)
        return StoredBlob(f"{content:064}", 100 * (content + 1), f"ab/{uuid.uuid4().hex}")

    def _owner(self) -> str:
        return self.chance.choice(OWNERS)

    def add(self) -> None:
        self.records.blobs.add(self._blob(), self._owner(), self.chance.choice([None, QUOTA]))

    def submit(self) -> None:
        blob = self._blob()
        upload = self.chance.choice([None, Upload(blob, QUOTA)])
        new = new_job(blob, kind="fuse", owner=self._owner(), files=self.chance.choice([(), (self._blob().sha256,)]))
        self.records.jobs.submit(new, None, 1000, upload)

    def use(self) -> None:
        self.records.blobs.use(self._blob().sha256, self._owner())

    def run(self) -> None:
        job = self.records.leases.claim("w", LANES)
        if job is not None:
            made = {blob.sha256: blob for blob in (self._blob(), self._blob())}
            files = tuple(Artifact(name=blob.sha256[-1], sha256=blob.sha256, size=blob.size) for blob in made.values())
            ending = Ending(Status.SUCCEEDED, "{}", artifacts=files)
            self.records.leases.finish(job, ending, blobs=tuple(made.values()))

    def cancel(self) -> None:
        for job in self.records.jobs.list(Filter(status=Status.QUEUED), 1):
            self.records.jobs.cancel(job.id)

    def delete(self) -> None:
        jobs = self.records.jobs.list(Filter(), 10)
        if jobs:
            job = self.chance.choice(jobs)
            self.records.jobs.delete(job.id, job.owner)

    def replace(self) -> None:
        if (blob := self.records.blobs.find(self._blob().sha256, None)) is not None:
            self.records.blobs.replace(blob.sha256, blob.location, self._blob().location)

    def forget(self) -> None:
        damaged = self._blob()
        here = self.records.blobs.find(damaged.sha256, None)
        self.records.blobs.forget(damaged if here is None or self.chance.random() < 0.5 else here)

    def sweep(self) -> None:
        self.records.blobs.forget_unneeded(self.chance.choice([-1, 365]), self.chance.choice([1000, 10**9]))


def _break(records: Records, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third time that something is written the connection breaks: before the commit, or after it."""
    once = records.database._once

    def breaking(work: Callable[[Connection], object], write: bool) -> object:
        trouble = OperationalError("COMMIT", {}, Exception("the connection broke"))
        luck = chance.random() if write else 1

        def broken(connection: Connection) -> None:
            work(connection)
            raise trouble

        if luck < 1 / 6:
            once(broken, write)
        done = once(work, write)
        if luck < 1 / 3:
            raise trouble
        return done

    monkeypatch.setattr(database, "_PAUSE", 0)
    monkeypatch.setattr(records.database, "_once", breaking)


@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_sum_after_whatever_happens(records: Records, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    walk, seen = _Walk(records, chance), set()
    _break(records, chance, monkeypatch)
    for _ in range(300):
        step = chance.choice(walk.steps())
        try:
            step()
            seen.add(step.__name__)
        except (StorageQuota, CheckpointNotFound, JobNotEnded) as error:
            seen.add(type(error).__name__)
        kept = _kept(records)
        assert {owner: size for owner, size in kept.items() if size} == _sums(records), step.__name__
    assert seen >= {step.__name__ for step in walk.steps()} | {"StorageQuota", "CheckpointNotFound", "JobNotEnded"}


def test_a_quota_is_asked_for_without_adding_up(records: Records) -> None:
    for number in range(10):
        store(records, "blue", str(number), size=100)
    plans = plans_of(records, lambda: records.blobs.check_quota("blue", 1, 1001))
    assert len(plans) == 1
    assert "holdings" not in plans[0]
    assert not goes_through_all(plans[0])
    records.blobs.check_quota("blue", 1, 1001)
    with pytest.raises(StorageQuota, match=r"1,000 bytes are stored and 2 more would pass the limit of 1,001"):
        records.blobs.check_quota("blue", 2, 1001)
    records.blobs.check_quota("red", 1001, 1001)


def test_what_an_older_version_recorded_beside_us_counts_from_the_next_sweep(records: Records) -> None:
    store(records, "blue", size=100)
    store(records, "red", "other", size=10)
    records.database.write(lambda connection: connection.execute(delete(stored_bytes)))
    records.blobs.forget_unneeded(365, 10**9)
    assert _kept(records) == {"": 0, "blue": 100, "red": 10}
