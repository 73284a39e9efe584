"""The journal of a job, by its context: apart from it, since a context needs no torch. And whose journal it is."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from micronet.contract import JobSettings
from micronet.errors import SettingsError
from micronet.jobs.context import Context
from micronet.journal import DirectoryJournal, Entry, Journal, MemoryJournal, PausingJournal, once
from micronet.tracks import Track

PART_BYTES = 15 << 20
"""Of a file of a journal that pauses, at most: it is carried from machine to machine, and some take 16 MiB a file."""
MADE_OF = "made-of"
"""The entry that says what a journal's others come of."""

_RECORDING = {"cuda_graphs": True, "fine_tuning": {"cuda_graphs"}, "train": {"cuda_graphs"}}
_IDLE: Mapping[str, Any] = {"team": True, "name": True, "recipe": True, **_RECORDING, "stages": {"__all__": _RECORDING}}
"""Settings that change no result: whose it is, how the same steps are launched, and where others were taken from."""
_SHOWN = {"title", "official", "note", "published", "required_correct"}
"""What a track says that changes neither images nor scores."""
_JOB, _SETTINGS = "job", "settings"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a job's results come of: nothing of the machine, for it may go on on another.

    facts   in words or checksums, each under its name
    free    settings that its journal is not bound to

    Teachers are in the settings, by their checksums.
    """

    settings: JobSettings
    facts: Mapping[str, str]
    free: frozenset[str] = frozenset()

    def entry(self) -> Entry:
        """As a journal has it."""
        settings = self.settings.model_dump_json(exclude={**_IDLE, **dict.fromkeys(self.free, True)})
        return Entry({_JOB: type(self.settings).__name__, _SETTINGS: settings, **self.facts})

    def differences(self, entry: Entry) -> Iterator[str]:
        """Names of what the job that wrote `entry` had otherwise.

        Settings are compared as this version reads them: one that it has and the writer's had not is at its default.
        """
        ours, theirs = self.entry().facts, entry.facts
        if theirs.get(_JOB) != ours[_JOB]:  # its settings are of another kind, or told in another way
            yield _JOB if _JOB in theirs else "version"
            return
        try:
            given = type(self.settings).model_validate_json(theirs[_SETTINGS])
        except ValidationError:
            yield "settings that this version does not know"
            return
        one, other = (_comparable(settings) for settings in (self.settings, given))
        yield from (name for name in one if name not in self.free and one[name] != other[name])
        yield from (name for name in {**ours, **theirs} if name != _SETTINGS and ours.get(name) != theirs.get(name))


def origin(
    settings: JobSettings, checkpoint: Path | None, chosen: Track, images: str, *, free: frozenset[str] = frozenset()
) -> Origin:
    """Of a job on a file, or on none, and a track. `images` is the checksum of those that it learns from."""
    file = "none" if checkpoint is None else _checksum(checkpoint)
    return Origin(settings, {"file": file, "track": chosen.model_dump_json(exclude=_SHOWN), "images": images}, free)


def opened_journal(context: Context, comes_of: Origin) -> Journal:
    """What a job writes down in how far it is, if it comes of the same. Raises SettingsError for another job's.

    A journal that does not say what it is of is taken for this job's: it is new, an earlier version began it, or a
    worker died that had stored others of its entries, which it does in no order. It says so with the first entry that
    the job reads or writes: one that is refused before has begun none. One of optimize's that an earlier version began
    says so in other words, and is refused.
    """
    if context.journal is None:
        return MemoryJournal()
    directory = DirectoryJournal(context.journal, None if context.pause_at is None else PART_BYTES)
    entry = directory.read(MADE_OF)
    if entry is not None and (others := list(comes_of.differences(entry))):
        raise SettingsError(
            f"the journal is that of something else: it differs in {' and '.join(others)}. Give a directory of its "
            "own, or the file and the settings that it was begun with."
        )
    journal = _OwnJournal(directory, comes_of)
    return journal if context.pause_at is None else PausingJournal(journal, context.pause_at)


@dataclass(frozen=True, slots=True)
class _OwnJournal:
    """Says what it comes of as soon as another entry is there that a job relies on."""

    journal: Journal
    comes_of: Origin

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        entry = self.journal.read(name)
        if entry is not None:
            self._say()
        return entry

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there."""
        self._say()
        self.journal.write(name, entry)

    def _say(self) -> None:
        once(self.journal, MADE_OF, self.comes_of.entry)


def _comparable(settings: JobSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude=dict(_IDLE))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
