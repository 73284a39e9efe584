"""Settings of two jobs, where they differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.records.values import Job

_NO_NUMBER = frozenset({"name", "team"})
"""What changes no number of a score, and is in every heading."""


@dataclass(frozen=True, slots=True)
class SettingPair:
    """A setting of both, as JSON has it; None where one has none of this name. `name` leads there from outside in."""

    name: str
    first: str | None
    second: str | None


def differing_settings(first: Job, second: Job) -> Sequence[SettingPair]:
    """What was not asked of both alike, in the order of the settings; the file too, by its SHA-256."""
    a, b = (dict(_told(job)) for job in (first, second))
    names = [*a, *(name for name in b if name not in a)]
    return [SettingPair(name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]


def _told(job: Job) -> Iterator[tuple[str, str]]:
    if job.checkpoint is not None:
        yield "file", f"{job.checkpoint.filename or ''} {job.checkpoint.sha256[:16]}".strip()
    settings = json.loads(job.settings)
    yield from _flat({name: value for name, value in settings.items() if name not in _NO_NUMBER})


def _flat(settings: Mapping[str, Any], outside: str = "") -> Iterator[tuple[str, str]]:
    """Names and values; what has parts is its parts."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{outside}{name}, ")
        else:
            yield f"{outside}{name}", value if isinstance(value, str) else json.dumps(value)
