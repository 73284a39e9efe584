"""What happened to a job, entry by entry, each written in the transaction of the change it tells of.

A log is bounded and says where it stops, so a job that is claimed and given back for ever fills no disk.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Insert, Integer, Select, Text, bindparam, func, insert, select

from worker.records.clock import now
from worker.records.tables import job_log
from worker.records.values import Ending, Event, LogEntry

MOST_ENTRIES = 1000
"""Of one job."""
_ROOM: Mapping[Event, int] = {Event.STAGE: 900, Event.CLAIMED: 990, Event.GIVEN_BACK: 990, Event.LOST: 990}
"""Entries after which an event that may come any number of times is told no more: the end still has its place."""
_COLUMNS = ("job_id", "at", "event", "text")


def write_entry(connection: Connection, job_id: str, event: Event, text: str, at: str | None = None) -> bool:
    """Write an entry, of now or of the time `at`, as a part of a transaction; False if it is one too many.

    The first one too many of stages, and of attempts, leaves an entry that says so.
    """
    values = {"job_id": job_id, "at": at or now(), "event": event, "text": _storable(text)}
    if connection.execute(_APPEND, {**values, "room": _ROOM.get(event, MOST_ENTRIES)}).rowcount:
        return True
    kind = "stages" if event is Event.STAGE else "attempts"
    notice = {"job_id": job_id, "event": Event.UNLISTED, "text": f"further {kind} are not listed"}
    if connection.execute(_SAID, notice).first() is None:
        connection.execute(_APPEND, {**notice, "at": now(), "room": MOST_ENTRIES})
    return False


def write_stages(connection: Connection, job_id: str, stages: Sequence[LogEntry]) -> None:
    """Write those of `stages` that are not there: a beat whose connection broke after its commit is sent again."""
    if not stages:
        return
    same_time = {"job_id": job_id, "event": Event.STAGE, "times": [stage.at for stage in stages]}
    there = {(row.at, row.text) for row in connection.execute(_SAID_AT, same_time)}
    for stage in stages:
        if (stage.at, stage.text) not in there and not write_entry(
            connection, job_id, stage.event, stage.text, stage.at
        ):
            return


def write_end(connection: Connection, job_id: str, ending: Ending) -> None:
    """Write how a job ended."""
    error = ending.error
    write_entry(connection, job_id, Event.ENDED, ending.status if error is None else f"{ending.status}: {error.code}")


def read_log(connection: Connection, job_id: str) -> tuple[LogEntry, ...]:
    """All entries of a job, in the order in which they were written."""
    rows = connection.execute(_LOG, {"job_id": job_id}).all()
    return tuple(LogEntry(row.at, Event(row.event), row.text) for row in rows)


def _storable(text: str) -> str:
    """Names of stages and codes of errors come from jobs, and PostgreSQL keeps no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _append() -> Insert:
    """An entry, if its job has fewer than `room`."""
    given = select(*(bindparam(name, type_=Text) for name in _COLUMNS))
    entries = select(func.count()).where(job_log.c.job_id == bindparam("job_id", type_=Text)).scalar_subquery()
    entry = insert(job_log).from_select(_COLUMNS, given.where(entries < bindparam("room", type_=Integer)))
    return entry.execution_options(preserve_rowcount=True)  # without, it is only told of updates


def _of_job() -> Select[tuple[str, str, str]]:
    return select(job_log.c.at, job_log.c.event, job_log.c.text).where(job_log.c.job_id == bindparam("job_id"))


# Made once: making them takes as long as running them.
_APPEND = _append()
_LOG = _of_job().order_by(job_log.c.seq)
_OF_EVENT = _of_job().where(job_log.c.event == bindparam("event"))
_SAID = _OF_EVENT.where(job_log.c.text == bindparam("text")).limit(1)
_SAID_AT = _OF_EVENT.where(job_log.c.at.in_(bindparam("times", expanding=True)))
