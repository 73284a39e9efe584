"""/metrics, for Prometheus and for what starts more workers when the queue grows."""

from collections.abc import Iterable

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from app.http.measuring import Found
from app.http.routing import api_router
from app.http.site import Site, SiteDep
from app.http.uploads import storage_errors
from micronet.jobs import JOBS
from worker.records.figures import attempts_broken_off, ended_jobs, longest_waits
from worker.records.values import HELD, Status, WorkerSeen
from worker.settings import LANES


def metrics_router() -> APIRouter:
    """The route of metrics; no token is needed, so a proxy should keep it inside."""
    router = api_router("server")
    router.add_api_route("/metrics", _metrics, methods=["GET"], name="metrics", response_class=PlainTextResponse)
    return router


async def _metrics(site: SiteDep) -> Response:
    """Requests, uploads, jobs, workers and free space, in Prometheus' text format."""
    text = await site.database.run(_text, site)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _text(site: Site) -> bytes:
    records = site.services.records
    jobs: dict[tuple[str, str, str], int] = {
        (kind, lane, status.value): 0
        for kind, job in JOBS.items()
        for lane in job.lanes
        for status in (Status.QUEUED, *HELD)
    }
    with storage_errors():
        free = site.services.blobs.free_bytes()
    return site.metrics.text(
        Found(
            jobs | records.jobs.counts(),
            _NONE_ENDED | ended_jobs(records.database),
            attempts_broken_off(records.database),
            dict.fromkeys(LANES, 0.0) | longest_waits(records.database),
            _by_lane(site.readiness.living()),
            free,
        )
    )


def _by_lane(workers: Iterable[WorkerSeen]) -> dict[str, int]:
    """How many take jobs of each lane."""
    taken = [worker.lanes for worker in workers]
    return {lane: taken.count(lane) + taken.count("both") for lane in LANES}


_NONE_ENDED = {
    (Status.SUCCEEDED.value, ""): 0,
    (Status.CANCELED.value, ""): 0,
    (Status.FAILED.value, "true"): 0,
    (Status.FAILED.value, "false"): 0,
}
