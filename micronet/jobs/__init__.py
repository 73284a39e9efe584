"""What a worker or the command line is asked to do: a frozen request, one function, one row in the table.

Nothing here imports torch until a job runs, so that who only lists jobs or checks settings stays small.
"""

from pathlib import Path

from micronet.contract import ScoreResult, ScoreSettings
from micronet.jobs.context import Context
from micronet.jobs.table import JOBS, Job, load

__all__ = ["JOBS", "Context", "Job", "count_network", "prepare_process"]


def prepare_process() -> None:
    """Once, at the start of a process that runs jobs: repeatable arithmetic, memory kept between batches."""
    load("micronet.evaluation.device:make_repeatable")()
    load("micronet.evaluation.device:keep_freed_memory")()


def count_network(settings: ScoreSettings, checkpoint: Path | None, context: Context) -> ScoreResult:
    """What would this cost? See `micronet.jobs.score.count_network`."""
    result = load("micronet.jobs.score:count_network")(settings, checkpoint, context)
    assert isinstance(result, ScoreResult)
    return result
