"""The supervisor: free slots take waiting jobs, in turn, until none waits."""

import queue
import threading
from collections.abc import Sequence

import structlog

from worker.errors import ServiceError
from worker.job_run import Bench, run_job
from worker.records.values import Job
from worker.slots import Slot

log = structlog.get_logger()


class Supervisor:
    """Runs jobs on its slots. Any number of threads may call `work_off`, as often as they like."""

    def __init__(self, bench: Bench, slots: Sequence[Slot], worker_id: str, lanes: tuple[str, ...]) -> None:
        self._bench, self._worker_id, self._lanes = bench, worker_id, lanes
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._slots = tuple(slots)
        self._idle = threading.Condition()
        self._busy = 0
        for slot in slots:
            self._free.put(slot)

    def work_off(self) -> None:
        """Take a free slot and run jobs on it until none waits; nothing if none is free: busy ones look again."""
        try:
            self._work_off()
        except ServiceError as error:  # the reconciler looks again when the database is back
            log.warning("nothing claimed", reason=str(error))

    def has_free_slot(self) -> bool:
        """Whether a slot is idle at this moment."""
        return not self._free.empty()

    def stop(self) -> None:
        """Running jobs go back, nothing new is claimed. Returns at once; `join` waits."""
        self._bench.stopping.set()

    def join(self, seconds: float) -> bool:
        """Wait until every slot is idle, then end their processes; false if that took longer."""
        with self._idle:
            idle = self._idle.wait_for(lambda: self._busy == 0, seconds)
        for slot in self._slots:
            slot.runner.close()
        return idle

    def _work_off(self) -> None:
        """After the slot is given back the records are looked at once more: bells were dropped while it was busy."""
        while not self._bench.stopping.is_set():
            slot = self._take()
            if slot is None:
                return
            try:
                while (job := self._claim()) is not None:
                    run_job(self._bench, job, slot.runner, slot.device)
            finally:
                self._give_back(slot)
            if self._bench.records.leases.waiting(self._lanes) == 0:
                return

    def _take(self) -> Slot | None:
        with self._idle:
            try:
                slot = self._free.get_nowait()
            except queue.Empty:
                return None
            self._busy += 1
            return slot

    def _give_back(self, slot: Slot) -> None:
        with self._idle:
            self._busy -= 1
            self._free.put(slot)
            self._idle.notify_all()

    def _claim(self) -> Job | None:
        if self._bench.stopping.is_set():
            return None
        return self._bench.records.leases.claim(self._worker_id, self._lanes)
