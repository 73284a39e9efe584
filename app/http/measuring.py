"""What is measured of one application, and of the whole server, in the words of Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from micronet.version import version

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_OF_ALL = " Of the whole server: every API tells the same, so take the max of them, not the sum."


@dataclass(frozen=True, slots=True)
class Found:
    """The whole server, at the moment somebody looks.

    `jobs`: how many have not ended, by kind, lane and status; `ended`: the others, by status and whose their failure is
    to mend; `broken_off`: attempts, by what their logs call it. By lane: `waits`, seconds that the oldest has waited;
    `workers`, how many live that take its jobs.
    """

    jobs: Mapping[tuple[str, str, str], int]
    ended: Mapping[tuple[str, str], int]
    broken_off: Mapping[str, int]
    waits: Mapping[str, float]
    workers: Mapping[str, int]
    free_bytes: int | None


class Metrics:
    """Counters of this process, and gauges that are set when somebody looks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        labels = ("method", "route", "status")
        self._requests = Counter("micronet_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "micronet_http_request_seconds",
            "From a request to the beginning of its answer, uploads included.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._uploads = Counter("micronet_upload_bytes", "Bytes of uploads that were kept.", registry=registry)
        build = Gauge("micronet_build_info", "The version of this API; always 1.", ("version",), registry=registry)
        build.labels(version()).set(1)
        self._jobs = self._gauge(
            "micronet_jobs",
            "Jobs that have not ended: with status queued, the depth of the queue.",
            ("kind", "lane", "status"),
        )
        self._ended = self._gauge(
            "micronet_jobs_ended",
            "Jobs that have ended, less those that were deleted since; yours is false where the server is at fault.",
            ("status", "yours"),
        )
        self._broken_off = self._gauge(
            "micronet_job_attempts_broken_off",
            "Attempts at jobs that came to no end, less those of jobs that were deleted since: lost with a worker "
            "whose lease ran out, or given back by one that stopped, lost the job's process or could not do its part.",
            ("event",),
        )
        self._waits = self._gauge(
            "micronet_jobs_oldest_queued_age_seconds",
            "Since the job was accepted that has waited longest; 0 where none waits.",
            ("lane",),
        )
        self._workers = self._gauge(
            "micronet_workers", "Workers that are alive and take jobs of the lane; some take both.", ("lane",)
        )
        self._free = self._gauge("micronet_blobs_free_bytes", "Space left for files.")

    def _gauge(self, name: str, words: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, words + _OF_ALL, labels, registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def uploaded(self, size: int) -> None:
        """One file, in bytes."""
        self._uploads.inc(size)

    def text(self, found: Found) -> bytes:
        """Everything, in Prometheus' text format."""
        for of_jobs, count in found.jobs.items():
            self._jobs.labels(*of_jobs).set(count)
        for of_ended, count in found.ended.items():
            self._ended.labels(*of_ended).set(count)
        for event, count in found.broken_off.items():
            self._broken_off.labels(event).set(count)
        for lane, seconds in found.waits.items():
            self._waits.labels(lane).set(seconds)
        for lane, count in found.workers.items():
            self._workers.labels(lane).set(count)
        self._free.set(float("nan") if found.free_bytes is None else found.free_bytes)
        return generate_latest(self.registry)
