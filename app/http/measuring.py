"""What is measured of one application, in the words of Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


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
        self._jobs = Gauge(
            "micronet_jobs",
            "Jobs that have not ended: with status queued, the depth of the queue.",
            ("kind", "lane", "status"),
            registry=registry,
        )
        self._workers = Gauge("micronet_workers", "Workers that are alive.", registry=registry)
        self._free = Gauge("micronet_blobs_free_bytes", "Space left for files.", registry=registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def uploaded(self, size: int) -> None:
        """One file, in bytes."""
        self._uploads.inc(size)

    def text(self, jobs: Mapping[tuple[str, str, str], int], workers: int, free_bytes: int | None) -> bytes:
        """Everything, in Prometheus' text format. `jobs`: how many, by kind, lane and status."""
        for (kind, lane, status), count in jobs.items():
            self._jobs.labels(kind, lane, status).set(count)
        self._workers.set(workers)
        self._free.set(float("nan") if free_bytes is None else free_bytes)
        return generate_latest(self.registry)
