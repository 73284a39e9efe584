"""Who holds which file, and how many bytes that is: a sum of each owner's, kept as holdings come and go.

Every new file is weighed against a quota while all who write wait: to add up what an owner has would take as long as he
has files. Part of transactions beside which no other one changes holdings (`Database.write_alone`).
"""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, func, insert, select, union_all, update

from worker.errors import StorageQuota
from worker.records.clock import now
from worker.records.tables import blobs, holdings, stored_bytes

# Made once: every job asks for them, and making them takes as long as running them.
_HELD = select(holdings.c.sha256).where(holdings.c.owner == bindparam("by"), holdings.c.sha256 == bindparam("wanted"))
_SIZE = select(blobs.c.size).where(blobs.c.sha256 == bindparam("wanted"))
_LET_GO = delete(holdings).where(holdings.c.owner == bindparam("by"), holdings.c.sha256 == bindparam("wanted"))
_STORED = select(stored_bytes.c.bytes).where(stored_bytes.c.owner == bindparam("by"))
_MORE = update(stored_bytes).where(stored_bytes.c.owner == bindparam("by"))
_MORE = _MORE.values(bytes=stored_bytes.c.bytes + bindparam("size"))
_HELD_BYTES = select(holdings.c.owner, blobs.c.size.label("bytes")).join(blobs, blobs.c.sha256 == holdings.c.sha256)
_SUMS = _HELD_BYTES.with_only_columns(holdings.c.owner, func.sum(blobs.c.size)).group_by(holdings.c.owner)
_ALL_SUMS = insert(stored_bytes).from_select(["owner", "bytes"], _SUMS)
_GONE = blobs.c.sha256.in_(bindparam("gone", expanding=True))
_BOTH = union_all(_HELD_BYTES, select(stored_bytes.c.owner, -stored_bytes.c.bytes)).subquery()
_WRONG = select(_BOTH.c.owner).group_by(_BOTH.c.owner).having(func.sum(_BOTH.c.bytes) != 0).limit(1)


def is_held(connection: Connection, sha256: str, owner: str) -> bool:
    """Whether `owner` holds the file."""
    return connection.execute(_HELD, {"wanted": sha256, "by": owner}).first() is not None


def hold(connection: Connection, sha256: str, owner: str) -> None:
    """The file, which is recorded and which he does not hold, is `owner`'s too."""
    connection.execute(insert(holdings).values(owner=owner, sha256=sha256, created_at=now()))
    _add(connection, owner, connection.execute(_SIZE, {"wanted": sha256}).scalar_one())


def let_go(connection: Connection, sha256: str, owner: str) -> None:
    """The file is not `owner`'s any more, if it was."""
    if connection.execute(_LET_GO, {"wanted": sha256, "by": owner}).rowcount:
        _add(connection, owner, -connection.execute(_SIZE, {"wanted": sha256}).scalar_one())


def forget_files(connection: Connection, sha256s: Collection[str]) -> None:
    """Rows of files go, and with them the holdings of all who held them."""
    gone = {"gone": list(sha256s)}
    theirs = connection.execute(_SUMS.where(_GONE), gone).all()
    connection.execute(delete(blobs).where(_GONE), gone)
    for owner, size in theirs:
        _add(connection, owner, -int(size))


def sums_are_right(connection: Connection) -> bool:
    """Whether what is kept are the sums: an older version that runs beside this one keeps none."""
    return connection.execute(_WRONG).first() is None


def count_anew(connection: Connection) -> None:
    """Add up what everybody holds."""
    connection.execute(delete(stored_bytes))
    connection.execute(_ALL_SUMS)


def stored(connection: Connection, owner: str) -> int:
    """Bytes that count against an owner's quota."""
    return connection.execute(_STORED, {"by": owner}).scalar() or 0


def check_quota(connection: Connection, owner: str, size: int, quota: int) -> None:
    """Raise StorageQuota unless `owner` may store `size` bytes more."""
    have = stored(connection, owner)
    if have + size > quota:
        raise StorageQuota(
            f"{have:,} bytes are stored and {size:,} more would pass the limit of {quota:,}; "
            "deleting jobs makes room at once, and files that no job needs are swept with time."
        )


def _add(connection: Connection, owner: str, size: int) -> None:
    if not connection.execute(_MORE, {"by": owner, "size": size}).rowcount:
        connection.execute(insert(stored_bytes).values(owner=owner, bytes=size))
