"""A fresh process that does some jobs one after the other and says when each was done and how much memory it took.

    python -m tests.benchmarks.child STARTED JOBS

STARTED is the time the process was asked for; JOBS a JSON list of {"file", "settings", "images", "data"}.
"""

import json
import sys
import time
from pathlib import Path


def main(started: float, jobs: list[dict[str, object]]) -> None:
    """Run the jobs; print one JSON line for each."""
    from micronet.contract import ScoreSettings
    from micronet.data.datasets import open_split
    from micronet.jobs import JOBS, Context, count_network, prepare_process
    from micronet.jobs import score as score_module

    prepare_process()
    for job in jobs:
        settings = ScoreSettings.model_validate(job["settings"])
        images = job.get("images")
        if images is not None:
            score_module.open_split = lambda track, split, data, n=images: open_split(track, split, data).subset(n, 0)
        context = Context(Path(str(job["data"])), "cpu")
        if settings.evaluate:
            JOBS["score"].run(settings, Path(str(job["file"])), context)
        else:
            count_network(settings, Path(str(job["file"])), context)
        now = time.time()
        peak = _peak_kib() * 1024
        print(json.dumps({"seconds": now - started, "peak_bytes": peak}), flush=True)
        started = now


def _peak_kib() -> int:
    """Of this program alone; `getrusage` would say at least what the parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    main(float(sys.argv[1]), json.loads(sys.argv[2]))
