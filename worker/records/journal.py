"""What long jobs have written down. Who holds the claim of a job writes its journal; when it has ended, all of it goes.

A location is used once and never again: here too a row goes before its file does.
"""

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from worker.records.clock import now
from worker.records.database import Database
from worker.records.tables import jobs, journal
from worker.records.values import ALIVE, HELD, Job, JournalEntry, StoredBlob, Written

_ENTRY = select(journal).where(journal.c.job_id == bindparam("job_id"), journal.c.name == bindparam("name"))


class JournalRecords:
    """Rows of entries. Their files are the caller's to write and to delete."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, job_id: str) -> tuple[JournalEntry, ...]:
        """All that the job has written down."""
        query = select(journal).where(journal.c.job_id == job_id).order_by(journal.c.name)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(JournalEntry(row.name, StoredBlob(row.sha256, row.size, row.location)) for row in rows)

    def write(self, job: Job, entry: JournalEntry) -> Written:
        """Put the entry in place of the one of its name, for a job that is held, unless that one says the same.

        Something new renews the job's attempts.
        """

        def work(connection: Connection) -> Written:
            blob = entry.blob
            held = connection.execute(select(jobs.c.seq).where(_mine(job)).with_for_update()).first()
            former = connection.execute(_ENTRY, {"job_id": job.id, "name": entry.name}).first()
            if former is not None and former.location == blob.location:
                return Written(blob.location)  # by an earlier try whose connection broke
            if held is None:
                return Written(None)
            if former is not None and former.sha256 == blob.sha256:
                return Written(former.location)
            values = {"sha256": blob.sha256, "size": blob.size, "location": blob.location, "written_at": now()}
            if former is None:
                connection.execute(insert(journal).values(job_id=job.id, name=entry.name, **values))
            else:
                same = (journal.c.job_id == job.id) & (journal.c.name == entry.name)
                connection.execute(update(journal).where(same).values(**values))
            connection.execute(update(jobs).where(jobs.c.seq == held.seq).values(attempts_before=jobs.c.attempt))
            return Written(blob.location, former=None if former is None else former.location)

        return self._database.write(work)

    def replace(self, job: Job, name: str, sha256: str, lost: str, location: str) -> bool:
        """The file of an entry of a job that is held is not at location `lost` any more but at `location`."""

        def work(connection: Connection) -> bool:
            held = connection.execute(select(jobs.c.seq).where(_mine(job)).with_for_update()).first()
            same = (journal.c.job_id == job.id) & (journal.c.name == name)
            same &= (journal.c.sha256 == sha256) & (journal.c.location == lost)
            moved = update(journal).where(same).values(location=location)
            return held is not None and connection.execute(moved).rowcount == 1

        return self._database.write(work)

    def forget(self, job_id: str) -> tuple[str, ...]:
        """Forget the journal of a job that has ended; the locations of files that are to be deleted now."""
        ended = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.status.not_in(ALIVE))
        gone = delete(journal).where(journal.c.job_id.in_(ended)).returning(journal.c.location)
        return self._database.write(lambda connection: tuple(connection.scalars(gone).all()))

    def forget_ended(self) -> tuple[str, ...]:
        """The same for every job that has ended: for those that ended without a worker, or whose worker died then."""
        alive = select(jobs.c.id).where(jobs.c.status.in_(ALIVE))
        if not self._database.read(lambda connection: connection.scalar(select(journal.c.job_id).limit(1))):
            return ()
        gone = delete(journal).where(journal.c.job_id.not_in(alive)).returning(journal.c.location)
        return self._database.write(lambda connection: tuple(connection.scalars(gone).all()))


def _mine(job: Job) -> ColumnElement[bool]:
    return (jobs.c.id == job.id) & (jobs.c.claim == job.claim) & jobs.c.status.in_(HELD)
