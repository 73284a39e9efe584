"""Bringing the tables to the newest version: one alembic history for SQLite and PostgreSQL."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from worker.records.database import Database


def migrate(database: Database) -> None:
    """Upgrade to the newest version; of several processes that start at once, one does it and the others wait."""

    def upgrade(connection: Connection) -> None:
        command.upgrade(configuration(connection), "head")

    database.write_alone(upgrade)


def configuration(connection: Connection) -> Config:
    """What alembic needs to know to migrate on this connection, in its transaction."""
    configured = Config()
    configured.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    configured.attributes["connection"] = connection
    return configured
