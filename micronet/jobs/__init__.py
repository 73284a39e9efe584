"""What a worker or the command line is asked to do: a frozen request, one function, one row in the table."""

from micronet.evaluation.device import keep_freed_memory, make_repeatable
from micronet.jobs.context import Context
from micronet.jobs.score import count_network
from micronet.jobs.table import JOBS, Job

__all__ = ["JOBS", "Context", "Job", "count_network", "prepare_process"]


def prepare_process() -> None:
    """Once, at the start of a process that runs jobs: repeatable arithmetic, memory kept between batches."""
    make_repeatable()
    keep_freed_memory()
