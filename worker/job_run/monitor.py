"""Following a job's process until it ends by itself or has to be ended."""

import time

import structlog

from worker.errors import DeviceUnavailable
from worker.job_run.attempt import Attempt, interruption
from worker.job_run.journal_keeper import JournalKeeper
from worker.job_run.outcomes import Outcome, Spent, failed
from worker.records.values import Ending, Status
from worker.runner import messages
from worker.runner.exits import KILLED, error_of_exit
from worker.runner.failures import told
from worker.runner.running import Running

log = structlog.get_logger()

_LOOK_SECONDS = 0.2  # between looks at a wish to stop
_LIMIT_SECONDS = 1.0  # between looks at memory and scratch
_LOG_TAIL_BYTES = 8192


class Monitor:
    """Listens to one process, shows how far it is, and says how it ended or that it must be ended."""

    def __init__(self, attempt: Attempt, running: Running, journal: JournalKeeper | None = None) -> None:
        self._attempt, self._running, self._journal = attempt, running, journal
        self._failure: messages.JobError | None = None
        self._done = False
        self._next_look = 0.0

    def outcome(self) -> Outcome:
        """How it ends. Unless it ended by itself, its process still runs and is the caller's to kill."""
        while True:
            for message in self._running.messages(_LOOK_SECONDS):
                if (ended := self._hear(message)) is not None:
                    return ended
            if (must := self._must_end()) is not None:
                return must

    def _hear(self, message: messages.Message) -> Outcome | None:
        match message:
            case messages.StageBegan():
                self._attempt.heartbeat.begin(message.name, message.index, message.count)
            case messages.Progressed():
                self._attempt.heartbeat.advance(message.done, message.total, message.unit)
            case messages.Failed():
                self._failure = message.error
            case messages.Done():
                self._done = True
            case messages.Exited():
                return self._after_exit(message)
        return None

    def _must_end(self) -> Outcome | None:
        if (interrupted := interruption(self._attempt)) is not None:
            return interrupted
        if self._journal is not None and (refused := self._journal.refused) is not None:
            return failed(told(refused, self._running.stage))
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _LIMIT_SECONDS
        over = self._running.over_limit()
        return None if over is None else failed(over)

    def _after_exit(self, exited: messages.Exited) -> Outcome:
        """A process that somebody killed is worth one more try; one that failed by itself is not."""
        if self._done and self._failure is None and exited.clean:
            return Ending(Status.SUCCEEDED)
        printed = self._running.log_tail(_LOG_TAIL_BYTES)
        error = self._failure or error_of_exit(exited, self._attempt.limits, self._running.stage, printed)
        if error.code == KILLED:
            log.warning("job killed", job=self._attempt.job.id)
            return Spent(failed(error), "its process was killed")
        if not error.yours:
            log.error("job failed", job=self._attempt.job.id, code=error.code, printed=printed.decode(errors="replace"))
        if error.code == DeviceUnavailable.code:
            return Spent(failed(error), "its worker could not use its device")
        return failed(error)
