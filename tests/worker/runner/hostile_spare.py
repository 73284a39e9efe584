"""A real spare whose table of jobs is that of `hostile_jobs`: production code has no way to any of them."""

import socket
import sys

from micronet.contract import ScoreResult, ScoreSettings
from micronet.jobs.table import Job
from tests.worker.runner import hostile_jobs
from worker.runner import child, spare

HOSTILE = tuple(name for name, value in vars(hostile_jobs).items() if getattr(value, "__module__", "").endswith("jobs"))


def _job(name: str) -> Job:
    return Job(ScoreSettings, ScoreResult, entry=f"{hostile_jobs.__name__}:{name}", lane="short", summary=name)


if __name__ == "__main__":
    child.JOBS = {name: _job(name) for name in HOSTILE}
    spare.serve(socket.socket(fileno=int(sys.argv[1])))
