"""Bringing the tables to the newest version: one alembic history for SQLite and PostgreSQL."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from micronet.errors import SettingsError
from worker.records.database import Database


def migrate(database: Database) -> None:
    """Upgrade to the newest version; of several processes that start at once, one does it and the others wait.

    Raises SettingsError for a database of a newer version.
    """

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        try:
            command.upgrade(configuration(connection), "head")
        except CommandError as error:  # of a version that is not among ours
            raise SettingsError(
                f"{error}: a newer version of this program wrote the database. Install that one, or name another "
                "database in MICRONET_DATABASE_URL."
            ) from error

    database.write_alone(upgrade)


def configuration(connection: Connection) -> Config:
    """What alembic needs to know to migrate on this connection, in its transaction."""
    configured = Config()
    configured.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    configured.attributes["connection"] = connection
    return configured
