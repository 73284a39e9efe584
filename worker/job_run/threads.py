"""Threads that follow a job, where the system lets a worker have them."""

from threading import Thread

from worker.errors import RunnerUnavailable


def start(thread: Thread) -> None:
    """Start it. Raises RunnerUnavailable where there is no room for another one: the job is unharmed."""
    try:
        thread.start()
    except RuntimeError as error:
        right = "raise its limits of tasks and of memory, or run fewer slots"
        raise RunnerUnavailable(f"the worker could not start a thread ({error}): {right}.") from error
