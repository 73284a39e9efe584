"""Warming up a spare: it does once what every job would do first (imports, what torch puts off to its first use)."""

import os
import time
from importlib import import_module

from micronet.contract import ArchitectureSettings, ScoreSettings
from micronet.evaluation.threads import in_order
from micronet.jobs import JOBS, Context, count_network

_COUNTED = (
    ScoreSettings(track="digits", architecture=ArchitectureSettings(name="digits")),
    ScoreSettings(architecture=ArchitectureSettings(name="resnet_cifar")),  # additions, which import sympy
)
_SECONDS_TO_END = 1.0


def warm_up() -> int:
    """Warm this process up; how many threads it has left, which is 1 for a process that may safely fork.

    Counting runs in a thread of its own in which torch computes alone, so that no pool is made whose threads a
    fork would lose. Libraries are imported before: some start a thread when another than the main one imports them.
    """
    for job in JOBS.values():
        import_module(job.entry.partition(":")[0])
    for _ in in_order(lambda settings: count_network(settings, None, Context()), _COUNTED):
        pass
    return _threads_left()


def _threads_left() -> int:
    """Threads, once those that are ending have ended."""
    deadline = time.monotonic() + _SECONDS_TO_END
    while (threads := len(os.listdir("/proc/self/task"))) > 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    return threads
