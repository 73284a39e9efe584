"""What is known of stored files: where they lie, who holds them, which of them nothing needs any more.

A location is used once and never again, so a row can go before its file does: nobody who uploads the same content
meanwhile gets the location that is about to be emptied.
"""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, and_, bindparam, case, exists, func, insert, or_, select, tuple_, union_all, update

from worker.errors import CheckpointNotFound
from worker.records.clock import ago, now
from worker.records.database import Database
from worker.records.holding import check_quota, count_anew, forget_files, hold, is_held, stored, sums_are_right
from worker.records.tables import blobs, holdings, job_files, jobs, journal, scores
from worker.records.values import ALIVE, StoredBlob

# Made once: every job asks for them, and making them takes as long as running them.
_BLOB = select(blobs).where(blobs.c.sha256 == bindparam("wanted"))
_USED = update(blobs).where(blobs.c.sha256 == bindparam("wanted")).values(used_at=bindparam("at"))
_LOCATIONS = union_all(select(blobs.c.location), select(journal.c.location)).subquery()
_PLACE = func.row_number().over(
    partition_by=(scores.c.track, scores.c.policy, scores.c.team),
    order_by=(scores.c.score, scores.c.finished_at, scores.c.job_id),
)
_PLACES = select(scores.c.sha256, _PLACE.label("place")).where(scores.c.qualifies).subquery()
_BEST = select(_PLACES.c.sha256).where(_PLACES.c.place == 1)  # what the best entry of each team was measured on
_NOBODYS, _SOMEBODYS, _OF_THE_BEST = range(3)
_WORTH = case(
    (blobs.c.sha256.in_(_BEST), _OF_THE_BEST),
    (exists().where(holdings.c.sha256 == blobs.c.sha256), _SOMEBODYS),
    else_=_NOBODYS,
)
"""Of a file that no waiting or running job needs: what is worth least goes first."""
_ALIVE = jobs.c.status.in_(ALIVE)
_NAMED = select(job_files.c.job_id).join(jobs, jobs.c.id == job_files.c.job_id).where(_ALIVE)
_IS_FREE = and_(
    ~exists().where(jobs.c.checkpoint_sha256 == blobs.c.sha256, _ALIVE),
    ~_NAMED.where(job_files.c.sha256 == blobs.c.sha256).exists(),
)
_FREE = select(blobs, _WORTH.label("worth")).where(_IS_FREE).subquery()
_ORDER = (_FREE.c.worth, _FREE.c.used_at, _FREE.c.sha256)
_GOING = select(_FREE, (func.sum(_FREE.c.size).over(order_by=_ORDER) - _FREE.c.size).label("freed")).subquery()
"""Those that are free, with the bytes of all that go before."""
_EXCESS = select(func.sum(blobs.c.size)).scalar_subquery() - bindparam("total_bytes")
_IS_OLD = (_GOING.c.worth == _SOMEBODYS) & (_GOING.c.used_at < bindparam("oldest"))
_GOES = or_(_GOING.c.worth == _NOBODYS, _IS_OLD, _GOING.c.freed < _EXCESS)
_UNNEEDED = select(_GOING).where(_GOES).order_by(_GOING.c.worth, _GOING.c.used_at)
_STILL = select(blobs).where(tuple_(blobs.c.sha256, blobs.c.used_at).in_(bindparam("found", expanding=True)), _IS_FREE)
"""Of files that were unneeded when last used at such a time, those that are so still: to hold one is to use it, too."""
_AT_ONCE = 200  # files that are forgotten while all who write wait


class BlobRecords:
    """Rows of blobs and of who holds them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, sha256: str, owner: str | None) -> StoredBlob | None:
        """The blob, if `owner` holds it (anybody may, with None)."""
        query = select(blobs).where(blobs.c.sha256 == sha256)
        if owner is not None:
            query = query.join(holdings, holdings.c.sha256 == blobs.c.sha256).where(holdings.c.owner == owner)
        row = self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else StoredBlob(row.sha256, row.size, row.location)

    def add(self, blob: StoredBlob, owner: str, quota: int | None = None) -> StoredBlob:
        """Record a file as `owner`'s. The answer's location is another one where the content was here before: the
        caller then deletes his own copy. Raises StorageQuota, with nothing recorded, over `quota` bytes of the owner.
        """

        return self._database.write_alone(lambda connection: record_blob(connection, blob, owner, quota))

    def use(self, sha256: str, owner: str) -> StoredBlob | None:
        """The blob, if `owner` holds it, kept from now on as if it had just come."""

        def work(connection: Connection) -> StoredBlob | None:
            if not is_held(connection, sha256, owner):
                return None
            connection.execute(_USED, {"wanted": sha256, "at": now()})
            row = connection.execute(_BLOB, {"wanted": sha256}).one()
            return StoredBlob(row.sha256, row.size, row.location)

        return self._database.write_alone(work)

    def replace(self, sha256: str, lost: str, location: str) -> bool:
        """A file that is not at location `lost` any more lies at `location`; false if somebody else said so before."""
        moved = update(blobs).where(blobs.c.sha256 == sha256, blobs.c.location == lost).values(location=location)
        return self._database.write_alone(lambda connection: connection.execute(moved).rowcount == 1)

    def forget(self, blob: StoredBlob) -> None:
        """The file is damaged: who needs it has to send it again, and a sweep deletes this one."""
        damaged = select(blobs.c.sha256).where(blobs.c.sha256 == blob.sha256, blobs.c.location == blob.location)

        def work(connection: Connection) -> None:
            if connection.execute(damaged).first() is not None:
                forget_files(connection, [blob.sha256])

        self._database.write_alone(work)

    def stored_bytes(self, owner: str) -> int:
        """Bytes that count against an owner's quota."""
        return self._database.read(lambda connection: stored(connection, owner))

    def check_quota(self, owner: str, size: int, quota: int) -> None:
        """Raise StorageQuota unless `owner` may store `size` bytes more."""
        self._database.read(lambda connection: check_quota(connection, owner, size, quota))

    def is_known(self, location: str) -> bool:
        """Whether the location is in use, by a blob or by a journal."""
        query = select(_LOCATIONS).where(_LOCATIONS.c.location == location)
        return self._database.read(lambda connection: connection.scalar(query)) is not None

    def locations(self) -> frozenset[str]:
        """Every location in use."""
        rows = self._database.read(lambda connection: connection.scalars(select(_LOCATIONS)).all())
        return frozenset(rows)

    def forget_unneeded(self, days: float, total_bytes: int) -> tuple[StoredBlob, ...]:
        """Rows of files no waiting or running job needs, unused for `days` or, the longest unused first, beyond
        `total_bytes` in all: deleted here, and to be deleted from their store by the caller.

        What nobody holds any more goes first, whatever its age. What the best entry of a team on a board was measured
        on stays whatever its age, to be measured again, and goes last where there is too much.

        They are looked for while others write, and forgotten a few at a time, unless they were used meanwhile.
        """
        asked = {"oldest": ago(days), "total_bytes": total_bytes}
        found = self._database.read(lambda connection: connection.execute(_UNNEEDED, asked).all())
        forgotten: list[StoredBlob] = []
        for start in range(0, len(found), _AT_ONCE):
            some = [(row.sha256, row.used_at) for row in found[start : start + _AT_ONCE]]
            forgotten += self._database.write_alone(partial(_forget_still, some))
        if not self._database.read(sums_are_right):
            self._database.write_alone(count_anew)
        return tuple(forgotten)


def _forget_still(found: Sequence[tuple[str, str]], connection: Connection) -> list[StoredBlob]:
    """Forget those of these files, each with when it was used last, that are unneeded as they were."""
    rows = connection.execute(_STILL, {"found": found}).all()
    forget_files(connection, [row.sha256 for row in rows])
    return [StoredBlob(row.sha256, row.size, row.location) for row in rows]


def record_blob(connection: Connection, blob: StoredBlob, owner: str, quota: int | None) -> StoredBlob:
    """`BlobRecords.add` as a part of a transaction."""
    held = is_held(connection, blob.sha256, owner)
    if not held and quota is not None:
        check_quota(connection, owner, blob.size, quota)
    here = connection.execute(_BLOB, {"wanted": blob.sha256}).first()
    if here is None:
        values = {"sha256": blob.sha256, "size": blob.size, "location": blob.location}
        connection.execute(insert(blobs).values(**values, created_at=now(), used_at=now()))
    else:
        connection.execute(_USED, {"wanted": blob.sha256, "at": now()})
    if not held:
        hold(connection, blob.sha256, owner)
    return blob if here is None else StoredBlob(here.sha256, here.size, here.location)


def use_blob(connection: Connection, sha256: str, owner: str) -> None:
    """Mark a file used, as a part of a transaction. Raises CheckpointNotFound unless `owner` holds it."""
    if not is_held(connection, sha256, owner):
        raise CheckpointNotFound(f"no checkpoint {sha256} is here; PUT /checkpoints/{sha256} first, or send the file.")
    connection.execute(_USED, {"wanted": sha256, "at": now()})
