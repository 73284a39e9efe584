"""How the databases go about what is asked of them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from worker.records import Records


def plans_of(records: Records, ask: Callable[[], object]) -> list[str]:
    """The plan of each query of `ask`. PostgreSQL is told to shun going through tables, as small ones make it do."""
    asked: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement != "BEGIN":
            asked.append((statement, parameters))

    engine = records.database.engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    explain = "EXPLAIN QUERY PLAN" if records.database.is_sqlite else "EXPLAIN"
    with engine.connect() as connection:
        if not records.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plans = [connection.exec_driver_sql(f"{explain} {each}", parameters).all() for each, parameters in asked]
    return ["\n".join(str(row[-1]) for row in plan) for plan in plans]


def goes_through_all(plan: str) -> bool:
    """Whether it reads a whole table, and not what an index finds."""
    return "SCAN" in plan or "Seq Scan" in plan
