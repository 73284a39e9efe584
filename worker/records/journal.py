"""What long jobs have written down. Who holds the claim of a job writes its journal; when it has ended, all of it goes.

A location is used once and never again: here too a row goes before its file does.
"""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from worker.records.clock import now
from worker.records.database import Database
from worker.records.tables import jobs, journal
from worker.records.values import ALIVE, HELD, Job, JournalEntry, StoredBlob

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

    def write(self, job: Job, entry: JournalEntry) -> str | None:
        """Put the entry in place of the one of its name, for a job that is held; where a file is to be deleted now.

        That is the former one's; or this one's, if the job is not held any more or the former says the same. Something
        new renews the job's attempts.
        """

        def work(connection: Connection) -> str | None:
            mine = (jobs.c.id == job.id) & (jobs.c.claim == job.claim) & jobs.c.status.in_(HELD)
            held = connection.execute(select(jobs.c.seq).where(mine).with_for_update()).first()
            former = connection.execute(_ENTRY, {"job_id": job.id, "name": entry.name}).first()
            if former is not None and former.location == entry.blob.location:
                return None  # written by an earlier try whose connection broke
            if held is None or (former is not None and former.sha256 == entry.blob.sha256):
                return entry.blob.location
            blob = entry.blob
            values = {"sha256": blob.sha256, "size": blob.size, "location": blob.location, "written_at": now()}
            if former is None:
                connection.execute(insert(journal).values(job_id=job.id, name=entry.name, **values))
            else:
                same = (journal.c.job_id == job.id) & (journal.c.name == entry.name)
                connection.execute(update(journal).where(same).values(**values))
            connection.execute(update(jobs).where(jobs.c.seq == held.seq).values(attempts_before=jobs.c.attempt))
            return None if former is None else str(former.location)

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
