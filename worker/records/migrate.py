"""Bringing the tables to the newest version: one alembic history for SQLite and PostgreSQL."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from worker.records.database import Database


def migrate(database: Database) -> None:
    """Upgrade to the newest version; of several processes that start at once, one does it and the others wait."""

    def upgrade(connection: Connection) -> None:
        configuration = Config()
        configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")

    database.write_alone(upgrade)
