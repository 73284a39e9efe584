"""What a worker or the command line is asked to do: a frozen request, one function, one row in the table."""

from micronet.jobs.table import JOBS, Job

__all__ = ["JOBS", "Job"]
