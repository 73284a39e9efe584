"""The supervisor: free slots take waiting jobs, in turn, until none waits."""

import threading
from collections.abc import Sequence
from secrets import token_hex

import structlog

from worker.errors import ServiceError
from worker.job_run.context import WorkerContext
from worker.job_run.run import run_job
from worker.records.values import Job
from worker.runner.device_check import check_device
from worker.scratch_directories import scratch_directory
from worker.settings import LONG
from worker.silent_devices import SilentDevices
from worker.slots import Slot

log = structlog.get_logger()


class Supervisor:
    """Runs jobs on its slots. Any number of threads may call `work_off`, as often as they like."""

    def __init__(self, context: WorkerContext, slots: Sequence[Slot], worker_id: str) -> None:
        self._context, self._worker_id = context, worker_id
        self._slots = tuple(slots)
        self._changed = threading.Condition()
        self._taken: dict[Slot, Job | None] = {}
        """Slots that are not free, and the job that each of them runs."""
        self._unheard: dict[Slot, str] = {}
        """The token of a claim that is under way, or whose answer did not come: the job may be this worker's."""
        self._silent = SilentDevices(self._check_device)

    def work_off(self) -> None:
        """Take a free slot and run jobs on it until none waits; nothing if none is free: busy ones look again."""
        try:
            self._work_off()
        except ServiceError as error:  # the reconciler looks again when the database is back
            log.warning("nothing claimed", reason=str(error))

    def free_lanes(self) -> tuple[str, ...]:
        """The lanes of which a job could start at this moment, or could once a device that rests answers again."""
        with self._changed:
            slot = self._free()
            return () if slot is None else slot.lanes

    def is_in_doubt(self) -> bool:
        """Whether a free slot may have a job that it was not told of: it is to ask, though none waits."""
        with self._changed:
            return not self._unheard.keys() <= self._taken.keys()

    def is_silent(self, device: str) -> bool:
        """Whether a job could not use this device, and nobody could since."""
        return device in self._silent

    def stop(self) -> None:
        """Running jobs go back, nothing new is claimed. Returns at once; `join` waits."""
        self._context.stopping.set()

    def join(self, seconds: float) -> bool:
        """Wait until every slot is idle, then end their processes. False if that takes longer: jobs go back even so,
        and what their threads still do for them, such as to wait for a file, comes to nothing. So do jobs that this
        worker may have and was not told of."""
        leases = self._context.records.leases
        with self._changed:
            idle = self._changed.wait_for(lambda: not self._taken, seconds)
            left = [job for job in self._taken.values() if job is not None]
            unheard = list(self._unheard.values())
        try:
            for job in left:
                leases.give_back(job)
            for token in unheard:
                if (claimed := leases.claimed(token)) is not None:
                    leases.give_back(claimed)
        except ServiceError as error:
            log.warning("jobs do not go back; their leases will run out", reason=str(error))
        for slot in self._slots:
            slot.runner.close()
        return idle

    def _work_off(self) -> None:
        """After the slot is given back the records are looked at once more: bells were dropped while it was busy."""
        while not self._context.stopping.is_set():
            slot = self._take()
            if slot is None:
                return
            try:
                while (job := self._claim(slot)) is not None:
                    slot.runner.start()  # which a reserved one is not before it is needed
                    if not run_job(self._context, job, slot.runner, slot.device):
                        self._silent.add(slot.device)
            finally:
                self._give_back(slot)
            kinds, without = self._silent.kinds(slot), self._context.too_large.resting()
            if self._context.records.leases.waiting(slot.lanes, kinds, without) == 0:
                return

    def _take(self) -> Slot | None:
        with self._changed:
            slot = self._free()
            if slot is not None:
                self._taken[slot] = None
            return slot

    def _free(self) -> Slot | None:
        """A slot that may take a job now, one that may have one before others, then one whose device answers; a
        reserved one only while each of the others has a long job, or no device."""
        for slot in sorted(self._slots, key=lambda slot: (slot not in self._unheard, slot.device in self._silent)):
            may_take = not slot.reserved or slot in self._unheard or self._others_are_long()
            if slot not in self._taken and may_take:
                return slot
        return None

    def _others_are_long(self) -> bool:
        others = [slot for slot in self._slots if not slot.reserved]
        long = [slot for slot in others if (job := self._taken.get(slot)) is not None and job.lane == LONG]
        return bool(long) and all(slot in long or slot.device in self._silent for slot in others)

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            del self._taken[slot]
            self._changed.notify_all()

    def _claim(self, slot: Slot) -> Job | None:
        """The next job that the slot can do. Where its device did not answer, it is asked once nothing else waits."""
        job = self._claim_of(slot, self._silent.kinds(slot))
        return self._claim_of(slot, None) if job is None and self._silent.answers_again(slot) else job

    def _claim_of(self, slot: Slot, kinds: tuple[str, ...] | None) -> Job | None:
        if self._context.stopping.is_set():
            return None
        lease_seconds = self._context.lease_seconds
        with self._changed:
            token = self._unheard.setdefault(slot, token_hex(16))
        job = self._context.records.leases.claim(
            self._worker_id, slot.lanes, lease_seconds, kinds, token, without=self._context.too_large.resting()
        )
        with self._changed:
            del self._unheard[slot]
            self._taken[slot] = job
        return job

    def _check_device(self, slot: Slot) -> None:
        """Raise DeviceUnavailable unless a process of the slot's can use its device; RunnerUnavailable, OSError."""
        context = self._context
        slot.runner.start()
        with scratch_directory(context.scratch, f"device-{token_hex(8)}") as scratch:
            limits = context.limits[slot.lanes[0]]
            check_device(slot.runner, slot.device, scratch, limits, context.stopping.is_set)
