"""What a job is given beside its settings and its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from micronet.progress import Progress, Silence


@dataclass(frozen=True, slots=True)
class Context:
    """Where data sets lie, which device to run on (`auto`, `cpu`, `cuda`, `cuda:1`), and who hears of progress.

    `outputs` is the directory a job writes its artifacts to, each a file; None where nobody wants them. `journal` is
    the directory a long job writes down in how far it is, and looks in for how far it was; None where it starts anew
    each time. `pause_at` is when to stop, by the monotonic clock in seconds: the first thing written down after it is
    the last, and Paused is raised. `files` are other checkpoints that the settings name, by their SHA-256.
    """

    data_dir: Path | None = None
    device: str = "auto"
    progress: Progress = field(default_factory=Silence)
    outputs: Path | None = None
    journal: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    pause_at: float | None = None


class Stages:
    """Announces a job's stages, whose names are known from the start, one after the other."""

    def __init__(self, progress: Progress, names: tuple[str, ...]) -> None:
        self._progress, self._names = progress, names

    @classmethod
    def asked(cls, progress: Progress, **stages: bool) -> "Stages":
        """Of stages in their order, those that are asked for."""
        return cls(progress, tuple(name for name, wanted in stages.items() if wanted))

    def begin(self, name: str) -> None:
        """Stage `name` begins."""
        self._progress.stage(name, self._names.index(name) + 1, len(self._names))
