"""The journal of a job, by its context: apart from it, since a context needs no torch. And whose journal it is."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from micronet.contract import JobSettings
from micronet.errors import SettingsError
from micronet.jobs.context import Context
from micronet.journal import DirectoryJournal, Entry, Journal, MemoryJournal, PausingJournal
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


def opened_journal(context: Context, made_of: Mapping[str, str]) -> Journal:
    """What a job writes down in how far it is, if it comes of the same. Raises SettingsError for another job's.

    A journal that does not say what it is of is taken for this job's: it is new, an earlier version began it, or a
    worker died that had stored others of its entries, which it does in no order.
    """
    if context.journal is None:
        return MemoryJournal()
    pauses = context.pause_at is not None
    journal = DirectoryJournal(context.journal, PART_BYTES if pauses else None)
    _own(journal, made_of)
    return journal if context.pause_at is None else PausingJournal(journal, context.pause_at)


def made_of(
    settings: JobSettings, checkpoint: Path | None, chosen: Track, images: str, *, free: frozenset[str] = frozenset()
) -> dict[str, str]:
    """What a job's results come of, in words or checksums: nothing of the machine, for it may go on on another.

    images  checksum of those that it learns from
    free    settings that its journal is not bound to

    Teachers are in the settings, by their checksums.
    """
    given = settings.model_dump(mode="json", exclude={**_IDLE, **dict.fromkeys(free, True)})
    return {
        "job": type(settings).__name__,
        "file": "none" if checkpoint is None else _checksum(checkpoint),
        **{name: json.dumps(value, sort_keys=True) for name, value in given.items()},
        "track": chosen.model_dump_json(exclude=_SHOWN),
        "images": images,
    }


def _own(journal: Journal, made_of: Mapping[str, str]) -> None:
    entry = journal.read(MADE_OF)
    if entry is None:
        journal.write(MADE_OF, Entry(dict(made_of)))
        return
    others = [name for name in {**made_of, **entry.facts} if entry.facts.get(name) != made_of.get(name)]
    if others:
        what = "job" if "job" in others else " and ".join(others)  # another job has settings of its own
        raise SettingsError(
            f"the journal is that of something else: it differs in {what}. Give a directory of its own, or the file "
            "and the settings that it was begun with."
        )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
