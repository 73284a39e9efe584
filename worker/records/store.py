"""The name of the one store of files that belongs to these records."""

from sqlalchemy import select

from worker.records.database import Database
from worker.records.tables import store


class StoreRecords:
    """One row, made with the tables and never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def identity(self) -> str:
        """Random: no two databases have the same, but a copy that of its original."""
        identity: str = self._database.read(lambda connection: connection.execute(select(store)).one().identity)
        return identity
