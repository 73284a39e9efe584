"""Celery as doorbell: one queue per lane. A message holds a job's id and no more, so it may get lost."""

import queue
import threading
from urllib.parse import urlsplit

import structlog
from celery import Celery
from kombu import Exchange, Queue

from micronet.errors import SettingsError
from worker import bell_directory
from worker.settings import LANES
from worker.urls import directory_of

RING = "micronet.ring"
_POLLING_SECONDS = 0.1  # of the directory: kombu looks once a second, which every small job would wait for
_BELLS_WAITING = 10_000

log = structlog.get_logger()


def make_celery(broker_url: str) -> Celery:
    """A Celery application on the broker at `broker_url`: file:///directory, or redis://...

    Acknowledging late with a prefetch of one leaves the bells to workers that are free. Raises SettingsError otherwise.
    """
    celery = Celery("micronet", set_as_current=False)
    celery.conf.update(
        **_transport(broker_url),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=3,
        task_ignore_result=True,
        task_acks_late=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_queues=[Queue(lane, exchange=Exchange(""), routing_key=lane) for lane in LANES],  # nothing to bind
        task_default_queue=LANES[0],
    )
    return celery


def _transport(broker_url: str) -> dict[str, object]:
    folder = directory_of(broker_url)
    if folder is not None:
        bell_directory.register(folder)
        options: dict[str, object] = {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(folder / "control"),  # unused, but made
            "polling_interval": _POLLING_SECONDS,
        }
        return {"broker_url": f"{bell_directory.SCHEME}://localhost", "broker_transport_options": options}
    scheme = urlsplit(broker_url).scheme
    if scheme in ("redis", "rediss"):
        options = {
            "global_keyprefix": "micronet:",
            "socket_connect_timeout": 3,
            "socket_timeout": 10,
            "socket_keepalive": True,
        }
        return {"broker_url": broker_url, "broker_transport_options": options}
    raise SettingsError(f"broker at {scheme}://: file:///directory or redis://host:port/number is needed")


class CeleryBell:
    """A `worker.doorbell.Doorbell`. Messages are sent by a thread of its own: nobody who rings waits for the broker."""

    def __init__(self, broker_url: str) -> None:
        self._celery = make_celery(broker_url)
        self._waiting: queue.Queue[tuple[str, str] | None] = queue.Queue(_BELLS_WAITING)
        self._thread = threading.Thread(target=self._send_all, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, job_id: str, lane: str) -> None:
        """Have a worker of `lane` woken."""
        try:
            self._waiting.put_nowait((job_id, lane))
        except queue.Full:
            log.warning("bell not rung", job=job_id, reason="the broker is behind; workers will look by themselves")

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def _send_all(self) -> None:
        while (ring := self._waiting.get()) is not None:
            job_id, lane = ring
            try:
                self._celery.send_task(RING, args=[job_id], queue=lane, retry=False)
            except Exception as error:  # whatever a broker can do wrong: the job waits in the records
                log.warning("bell not rung", job=job_id, reason=repr(error))
