"""The worker process: Celery listens for the doorbell, slots run jobs, threads do the housekeeping."""

import itertools
import os
import platform
import signal
import socket
import threading
from dataclasses import dataclass
from secrets import token_hex

import structlog
from celery import Celery, signals

from micronet.version import version
from worker.belonging import open_store
from worker.blobs import Blobs
from worker.celery_app import RING, make_celery
from worker.chores import now_and_then
from worker.devices import SILENT
from worker.errors import ServiceError
from worker.job_run.context import WorkerContext
from worker.reconciler import Reconciler
from worker.records import Records
from worker.records.values import WorkerSeen
from worker.runner import Runner
from worker.settings import Settings
from worker.slots import Slot, limits_by_lane, slots_of
from worker.supervisor import Supervisor
from worker.sweeping import sweep

log = structlog.get_logger()

_DATABASE_PATIENCE = 3.0
_CONNECTIONS_OF_A_SLOT = 4  # its job, heartbeat and journal; who ran a job there before and looks for the next
_OTHER_CONNECTIONS = 6  # the keeper, the sweeper, what stores the end of a journal whose job is gone
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything one worker process holds."""

    id: str
    settings: Settings
    records: Records
    blobs: Blobs
    slots: tuple[Slot, ...]
    supervisor: Supervisor
    stopping: threading.Event


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; running jobs then go back. Raises ServiceError, SettingsError."""
    celery = make_celery(settings.broker)
    worker = _open(settings)
    _listen(celery, worker.supervisor)
    keeper = _start_housekeeping(worker)
    log.info("worker ready", worker=worker.id, lanes=settings.lanes, devices=_devices(worker))
    try:
        celery.Worker(
            pool="threads",
            concurrency=len(worker.slots),
            queues=list(settings.accepted_lanes()),
            hostname=worker.id,
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        ).start()
    finally:
        _close(worker, keeper)


def _open(settings: Settings) -> Worker:
    stopping = threading.Event()
    slots = slots_of(settings, lambda: Runner(settings.data, log.info))
    connections = _CONNECTIONS_OF_A_SLOT * len(slots) + _OTHER_CONNECTIONS
    records = Records(settings.database, _DATABASE_PATIENCE, connections=connections)
    blobs = open_store(settings.blobs, settings.scratch, records)
    ordinary = [slot for slot in slots if not slot.reserved]
    for slot in ordinary:
        slot.runner.start()
    limits = limits_by_lane(settings, len(ordinary))
    context = WorkerContext(
        records, blobs, settings.scratch, limits, settings.beat_seconds, settings.lease_seconds, stopping
    )
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
    supervisor = Supervisor(context, slots, worker_id)
    return Worker(worker_id, settings, records, blobs, slots, supervisor, stopping)


def _listen(celery: Celery, supervisor: Supervisor) -> None:
    """A bell: the id in it is not looked at, since the job whose turn it is may be another."""

    @celery.task(name=RING)  # type: ignore[untyped-decorator]
    def ring(job_id: str) -> None:
        supervisor.work_off()

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def stop(**_: object) -> None:
        supervisor.stop()


def _start_housekeeping(worker: Worker) -> threading.Thread:
    """The thread that gives signs of life. Sweeps have another: they may take minutes, and may be cut off anywhere."""
    keeper = threading.Thread(target=_beat_and_reconcile, args=(worker,), name="keeper", daemon=True)
    sweeper = threading.Thread(target=_sweep_at_intervals, args=(worker,), name="sweeper", daemon=True)
    keeper.start()
    sweeper.start()
    return keeper


def _beat_and_reconcile(worker: Worker) -> None:
    """Beat as a worker, end leases of workers that are gone, look for jobs that no bell was rung for."""
    reconciler = Reconciler(worker.records, worker.settings.lease_seconds)
    beats = itertools.count(1)

    def look() -> None:
        worker.records.workers.beat(_description(worker, next(beats)))
        reconciler.take_back()
        reconciler.forget_dead_workers()
        free = worker.supervisor.free_lanes()
        if free and (worker.supervisor.is_in_doubt() or worker.records.leases.waiting(free)):
            for _ in worker.slots:
                threading.Thread(target=worker.supervisor.work_off, name="unrung", daemon=True).start()

    now_and_then(look, worker.settings.reconcile_seconds, worker.stopping)


def _sweep_at_intervals(worker: Worker) -> None:
    settings, records, blobs = worker.settings, worker.records, worker.blobs
    now_and_then(lambda: sweep(settings, records, blobs), settings.sweep_seconds, worker.stopping)


def _description(worker: Worker, beat: int) -> WorkerSeen:
    return WorkerSeen(
        id=worker.id,
        host=platform.node(),
        lanes=worker.settings.lanes,
        devices=_devices(worker),
        isolation=_walls(worker.slots),
        version=version(),
        beat=beat,
        seen_at="",
        lease_seconds=worker.settings.worker_seconds,
    )


def _devices(worker: Worker) -> tuple[str, ...]:
    """Of the slots that are there for any job, and which of them do not answer."""
    devices = [slot.device for slot in worker.slots if not slot.reserved]
    return tuple(f"{device}{SILENT}" if worker.supervisor.is_silent(device) else device for device in devices)


def _walls(slots: tuple[Slot, ...]) -> tuple[str, ...]:
    """What jobs are confined by, in words; empty until the first runner is warm."""
    return next((walls.names for walls in [slot.runner.isolation for slot in slots] if walls is not None), ())


def _close(worker: Worker, keeper: threading.Thread) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # being told twice changes nothing
    worker.supervisor.stop()
    if not worker.supervisor.join(_STOP_SECONDS):
        log.warning("a job did not stop in time; it is given back as it is")
    keeper.join(timeout=5)
    try:
        worker.records.workers.remove(worker.id)
    except ServiceError as error:
        log.warning("goodbye not recorded", reason=str(error))
    worker.records.close()
    log.info("worker stopped", worker=worker.id)
