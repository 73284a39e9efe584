"""Files that jobs make, put where somebody wants them: nothing is written over unless it may be."""

from collections.abc import Iterable
from pathlib import Path

from micronet.errors import SettingsError


def make_room(directory: Path, names: Iterable[str], force: bool) -> None:
    """Make the directory that these files are to come to. Raises OSError, SettingsError if one may not be written."""
    directory.mkdir(parents=True, exist_ok=True)
    check_free(directory, names, force)


def check_free(directory: Path, names: Iterable[str], force: bool) -> None:
    """Raise SettingsError if one of the files is there already and may not be replaced."""
    for name in names:
        if not force and (directory / name).exists():
            raise SettingsError(f"{directory / name} is there already: give --force, or another --output.")


def move_all(source: Path, directory: Path, force: bool) -> None:
    """Move every file of `source` to `directory`. Raises SettingsError, with none of them moved."""
    paths = sorted(source.iterdir())
    check_free(directory, (path.name for path in paths), force)
    for path in paths:
        path.replace(directory / path.name)
