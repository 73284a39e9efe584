"""What a long computation writes down to go on from: named entries, each replaced as a whole."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
from torch import Tensor

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_FACTS = "facts"


@dataclass(frozen=True, slots=True)
class Entry:
    """Tensors on the CPU, and facts as JSON knows them (numbers keep every bit)."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


class Journal(Protocol):
    """Entries by name: lower-case letters, digits, dots, dashes.

    What was written is there after any crash, or what was there before it; never half of it.
    """

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there."""


class MemoryJournal:
    """Lasts as long as the process: for computations nobody resumes, and for tests."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        return self.entries.get(name)

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there."""
        tensors = {key: tensor.detach().clone() for key, tensor in entry.tensors.items()}
        self.entries[_checked(name)] = Entry(json.loads(json.dumps(entry.facts)), tensors)


class DirectoryJournal:
    """Each entry a safetensors file in a directory, renamed into place when all of it is on the disk."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        path = self._directory / _checked(name)
        if not path.exists():
            return None
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[_FACTS])
            return Entry(facts, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118  # no mapping

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there. Raises OSError where there is no room."""
        path = self._directory / _checked(name)
        temporary = path.with_name(f".{name}.new")
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in entry.tensors.items()}
        safetensors.torch.save_file(tensors, temporary, metadata={_FACTS: json.dumps(entry.facts)})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a journal: every name in it begins with `prefix`."""

    journal: Journal
    prefix: str

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        return self.journal.read(f"{self.prefix}.{name}")

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there."""
        self.journal.write(f"{self.prefix}.{name}", entry)


def _checked(name: str) -> str:
    assert _NAME.fullmatch(name), f"{name!r} cannot name an entry"
    return name
