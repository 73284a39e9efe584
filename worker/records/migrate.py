"""Bringing the tables to the newest version: one alembic history for SQLite and PostgreSQL."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from micronet.errors import SettingsError
from worker.records.database import Database

_NO_CHANGE = text("UPDATE alembic_version SET version_num = version_num WHERE 1 = 0")
"""For it, a database has to be one that can be written."""


def migrate(database: Database) -> None:
    """Upgrade to the newest version; of several processes that start at once, one does it and the others wait.

    Raises SettingsError for a database of a newer version, Unavailable for one that may not be written, and OSError.
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
        connection.execute(_NO_CHANGE)

    database.make_file()
    database.check_file()
    database.write_alone(upgrade)


def make_if_new(database: Database) -> None:
    """Make the tables where there are none. Raises SettingsError for a database of another version than this one."""
    if _version(database) is None:
        migrate(database)
    else:
        check_version(database)


def check_version(database: Database) -> None:
    """Nothing, where this very version of the program has made the tables or changed them; a server does that when it
    starts. It may be running beside this, and be another version: raises SettingsError then.
    """
    found = _version(database)
    if found is None:
        raise SettingsError(f"there are no records at {database.place} yet: a server makes them when it starts.")
    scripts = ScriptDirectory.from_config(configuration())
    newest = scripts.get_current_head()
    if found == newest:
        return
    if found in {script.revision for script in scripts.walk_revisions()}:
        right = "stop every server on it and start one of this version, which brings it to that"
    else:
        right = "a newer version of this program wrote it: ask that one"
    raise SettingsError(
        f"the records at {database.place} are of version {found}, this program's are {newest}: {right}."
    )


def check_usable(database: Database) -> None:
    """As check_version; and raises Unavailable where rows cannot be written, such as in a file of another user's."""
    check_version(database)
    database.write(lambda connection: connection.execute(_NO_CHANGE))


def _version(database: Database) -> str | None:
    if database.file is not None and not database.file.exists():
        return None
    database.check_file()
    return database.read(lambda connection: MigrationContext.configure(connection).get_current_revision())


def configuration(connection: Connection | None = None) -> Config:
    """What alembic needs to know to migrate, on this connection, in its transaction."""
    configured = Config()
    configured.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    configured.attributes["connection"] = connection
    return configured
