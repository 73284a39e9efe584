"""BadFile: how to make a file that must be refused, and the error that must refuse it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from micronet.errors import MicronetError

CANARY = "canary"


@dataclass(frozen=True)
class BadFile:
    """`make(directory)` writes one file into an empty directory and returns its path."""

    make: Callable[[Path], Path]
    error: type[MicronetError]


def content(data: bytes, name: str = "model.pth") -> Callable[[Path], Path]:
    """A maker of a file with these bytes."""

    def make(directory: Path) -> Path:
        path = directory / name
        path.write_bytes(data)
        return path

    return make
