"""A process that owns a runner and a job of it, to be killed: prints the numbers of supervisor, spare and job."""

import os
import sys
import time
from pathlib import Path

from tests.worker.runner.conftest import hostile_spares, request_of
from worker.limits import JobLimits
from worker.runner import Runner

if __name__ == "__main__":
    pids: list[object] = []
    with hostile_spares():
        runner = Runner(None, lambda event, **values: pids.append(values["pid"]))
        runner.start()
        running = runner.run(request_of("sleep"), Path(sys.argv[1]), JobLimits())
    running.messages(30)
    print(os.getpid(), pids[0], running.pid, flush=True)
    time.sleep(600)
