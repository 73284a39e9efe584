"""The table of jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from micronet.contract import ScoreResult, ScoreSettings
from micronet.jobs.context import Context
from micronet.jobs.score import score


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job: what it is asked with, what it does, what it answers."""

    settings: type[ScoreSettings]
    run: Callable[[ScoreSettings, Path, Context], ScoreResult]
    result: type[ScoreResult]


JOBS: Mapping[str, Job] = {
    "score": Job(ScoreSettings, score, ScoreResult),
}
