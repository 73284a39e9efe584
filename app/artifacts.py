"""Files that jobs make, put where somebody wants them: nothing is written over unless it may be."""

import os
from collections.abc import Iterable
from pathlib import Path

from app.errors import FULL
from micronet.errors import SettingsError


def make_room(directory: Path, names: Iterable[str], force: bool) -> None:
    """Make the directory that these files are to come to. Raises SettingsError where there can be none, or one of them
    may not be written; OSError where no room is left."""
    make_directory(directory, "--output")
    check_free(directory, names, force)


def make_directory(directory: Path, option: str) -> None:
    """Make the directory that an option names. Raises SettingsError where there can be none, OSError without room."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (directory, *directory.parents) if path.exists())
        raise SettingsError(f"{option} {directory}: {file} is a file; name a directory.") from None
    except OSError as error:
        if error.errno in FULL:
            raise
        raise SettingsError(f"{option} {directory} cannot be made: {error.strerror}.") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise SettingsError(f"{option} {directory}: nothing can be written there; name another directory.")


def check_free(directory: Path, names: Iterable[str], force: bool) -> None:
    """Raise SettingsError if one of the files is there already and may not be replaced, or a directory is, which no
    file can replace."""
    for name in names:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            raise SettingsError(f"{path} is a directory, and a file is to be there: move it, or give another --output.")
        if not force and os.path.lexists(path):
            raise SettingsError(f"{path} is there already: give --force, or another --output.")


def move_all(source: Path, directory: Path, force: bool) -> list[Path]:
    """Move every file of `source` to `directory`; where they are then. Raises SettingsError, with none moved."""
    paths = sorted(source.iterdir())
    check_free(directory, (path.name for path in paths), force)
    return [path.replace(directory / path.name) for path in paths]
