"""Which workers there are, as they say themselves."""

import json

from sqlalchemy import Connection, delete, insert, select, update

from worker.records.clock import now
from worker.records.database import Database
from worker.records.tables import workers
from worker.records.values import WorkerSeen


class Workers:
    """Signs of life of whole workers, for health, metrics and `micronet doctor`; leases do not rest on them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, worker: WorkerSeen) -> None:
        """`worker` lives."""
        facts = {
            "host": worker.host,
            "lanes": worker.lanes,
            "devices": json.dumps(worker.devices),
            "isolation": json.dumps(worker.isolation),
            "version": worker.version,
            "beat": worker.beat,
            "lease_seconds": worker.lease_seconds,
            "seen_at": now(),
        }

        def work(connection: Connection) -> None:
            if not connection.execute(update(workers).where(workers.c.id == worker.id).values(facts)).rowcount:
                connection.execute(insert(workers).values(id=worker.id, **facts))

        self._database.write(work)

    def all(self) -> tuple[WorkerSeen, ...]:
        """Every worker that has not said goodbye and was not found dead."""
        rows = self._database.read(lambda connection: connection.execute(select(workers)).all())
        return tuple(
            WorkerSeen(
                row.id,
                row.host,
                row.lanes,
                tuple(json.loads(row.devices)),
                tuple(json.loads(row.isolation)),
                row.version,
                row.beat,
                row.seen_at,
                row.lease_seconds,
            )
            for row in rows
        )

    def remove(self, worker_id: str) -> None:
        """The worker has ended."""
        self._database.write(lambda connection: connection.execute(delete(workers).where(workers.c.id == worker_id)))
