"""Job processes: one warm spare per device, which has torch loaded and forks a confined child for every job.

    supervisor (threads, no torch)          spare (one thread)               child (the job)
    client.Runner      -- order + pipes -->  spare.serve     -- fork -->      child.run_job
    running.Running    <---------------------- messages, log ---------------  (pipes)
                       <-- exited ---------  waits for its end

Whichever of the three dies, nothing stays: the child dies with the spare (PR_SET_PDEATHSIG), the spare kills its child
and goes when the supervisor's end of the socket closes, and the supervisor replaces a spare that is gone.
"""

from worker.runner.client import Runner

__all__ = ["Runner"]
