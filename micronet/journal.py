"""What a long computation writes down to go on from: named entries, each replaced as a whole."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from micronet.errors import Paused, SettingsError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_FACTS, _PARTS = "facts", "parts"
_PART, _DIGITS = ".PART-", 16
"""Between an entry's name and what tells its parts apart: in no name of an entry. And how much of a checksum does."""


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


def written(journal: Journal, name: str, entry: Entry) -> Entry:
    """Write `entry` down, and give it as the journal does: what goes on now is what would after a crash."""
    journal.write(name, entry)
    again = journal.read(name)
    assert again is not None
    return again


def once(journal: Journal, name: str, make: Callable[[], Entry]) -> Entry:
    """What the journal has under `name`; where there is nothing yet, what `make` gives is there from then on."""
    return journal.read(name) or written(journal, name, make())


def tensor_of(data: bytes) -> Tensor:
    """A file as an entry can have it, uint8 (bytes,)."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def bytes_of(tensor: Tensor) -> bytes:
    """The file that `tensor_of` was given."""
    return tensor.numpy().tobytes()


class MemoryJournal:
    """Lasts as long as the process: for computations nobody resumes, and for tests."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        entry = self.entries.get(name)
        return None if entry is None else _copied(entry)

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there."""
        self.entries[_checked(name)] = _copied(entry)


class DirectoryJournal:
    """Each entry a safetensors file in a directory, renamed into place when all of it is on the disk.

    With `part_bytes` no file is larger: an entry that would be lies in parts, named by its checksum, and the file of
    its name says which. They are read with and without it.
    """

    def __init__(self, directory: Path, part_bytes: int | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._part_bytes = directory, part_bytes

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none. Raises SettingsError for one cut short, or not of its own parts."""
        path = self._directory / _checked(name)
        if not path.exists():
            return None
        try:
            return self._read(path)
        except (safetensors.SafetensorError, FileNotFoundError, KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"the journal's {path} is damaged ({error}). Copy the whole journal again from where it was written, "
                "or give an empty directory to begin anew."
            ) from None

    def _read(self, path: Path) -> Entry:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            facts, parts = json.loads(metadata[_FACTS]), json.loads(metadata.get(_PARTS, "[]"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
        if parts:
            content = b"".join((self._directory / part).read_bytes() for part in parts)
            if f"{_PART}{hashlib.sha256(content).hexdigest()[:_DIGITS]}." not in parts[0]:
                raise ValueError("its parts are not those that it names")
            tensors = safetensors.torch.load(content)
        return Entry(facts, tensors)

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there. Raises OSError where there is no room."""
        whole = self._temporary(_checked(name))
        tensors = _apart({key: tensor.detach().cpu().contiguous() for key, tensor in entry.tensors.items()})
        metadata = {_FACTS: json.dumps(entry.facts)}
        safetensors.torch.save_file(tensors, whole, metadata=metadata)
        parts: list[str] = []
        if self._part_bytes is not None and whole.stat().st_size > self._part_bytes:
            parts = self._divided(name, whole, self._part_bytes)
            safetensors.torch.save_file({}, whole, metadata={**metadata, _PARTS: json.dumps(parts)})
        _put(whole, self._directory / name)
        for old in (*self._directory.glob(f"{name}{_PART}*"), *self._directory.glob(f".{name}{_PART}*")):
            if old.name not in parts:
                old.unlink()

    def _temporary(self, name: str) -> Path:
        return self._directory / f".{name}.new"

    def _divided(self, name: str, whole: Path, part_bytes: int) -> list[str]:
        """Names of the parts of the file `whole`, which are on the disk then, beside those of the entry before."""
        with whole.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
            file.seek(0)
            parts: list[str] = []
            while data := file.read(part_bytes):
                parts.append(f"{name}{_PART}{checksum}.{len(parts) + 1}")
                self._temporary(parts[-1]).write_bytes(data)
                _put(self._temporary(parts[-1]), self._directory / parts[-1])
        return parts


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each in memory of its own, as such a file has them: of weights, one may be a view of another."""
    seen = set[int]()
    found = {}
    for key, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        found[key] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return found


def _put(temporary: Path, path: Path) -> None:
    """Rename it into place when all of it is on the disk."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@dataclass(frozen=True, slots=True)
class PausingJournal:
    """Raises Paused after the first write at or after `until`, by the monotonic clock in seconds."""

    journal: Journal
    until: float

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        return self.journal.read(name)

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there. Raises Paused when the time is over."""
        self.journal.write(name, entry)
        if time.monotonic() >= self.until:
            raise Paused


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


def _copied(entry: Entry) -> Entry:
    """An entry of its own, as from a file: whoever goes on from one changes its tensors in place."""
    tensors = {key: tensor.detach().to("cpu", copy=True) for key, tensor in entry.tensors.items()}
    return Entry(json.loads(json.dumps(entry.facts)), tensors)


def _checked(name: str) -> str:
    assert _NAME.fullmatch(name), f"{name!r} cannot name an entry"
    return name
