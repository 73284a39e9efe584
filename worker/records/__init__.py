"""The records: the one truth about jobs, files, scores and tokens, in SQLite or PostgreSQL."""

from collections.abc import Callable

from worker.records.blobs import BlobRecords
from worker.records.database import CONNECTIONS, Database
from worker.records.jobs import JobRecords
from worker.records.journal import JournalRecords
from worker.records.leases import Leases
from worker.records.migrate import migrate
from worker.records.scores import Scores
from worker.records.standings import Standings
from worker.records.store import StoreRecords
from worker.records.tokens import Tokens
from worker.records.workers import Workers


class Records:
    """All records of one database. Opening brings its tables to the newest version.

    `connections`: as many as threads use them at once. `prepare`: what else is done first, such as by commands beside a
    server, which leave its tables as they are.
    """

    def __init__(
        self,
        url: str,
        patience: float = 5.0,
        prepare: Callable[[Database], None] = migrate,
        connections: int = CONNECTIONS,
    ) -> None:
        self.database = Database(url, patience, connections)
        prepare(self.database)
        self.database.is_opening = False
        self.jobs = JobRecords(self.database)
        self.leases = Leases(self.database)
        self.blobs = BlobRecords(self.database)
        self.journal = JournalRecords(self.database)
        self.store = StoreRecords(self.database)
        self.scores = Scores(self.database)
        self.standings = Standings(self.database)
        self.tokens = Tokens(self.database)
        self.workers = Workers(self.database)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


__all__ = ["Records"]
