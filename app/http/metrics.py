"""/metrics, for Prometheus and for what starts more workers when the queue grows."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from app.http.routing import api_router
from app.http.site import Site, SiteDep
from app.http.uploads import storage_errors
from micronet.jobs import JOBS
from worker.records.values import HELD, Status


def metrics_router() -> APIRouter:
    """The route of metrics; no token is needed, so a proxy should keep it inside."""
    router = api_router("server")
    router.add_api_route("/metrics", _metrics, methods=["GET"], name="metrics", response_class=PlainTextResponse)
    return router


async def _metrics(site: SiteDep) -> Response:
    """Requests, uploads, the queue, workers and free space, in Prometheus' text format."""
    text = await site.database.run(_text, site)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _text(site: Site) -> bytes:
    services = site.services
    jobs: dict[tuple[str, str, str], int] = {
        (kind, lane, status.value): 0
        for kind, job in JOBS.items()
        for lane in job.lanes
        for status in (Status.QUEUED, *HELD)
    }
    jobs.update(services.records.jobs.counts())
    with storage_errors():
        free = services.blobs.free_bytes()
    return site.metrics.text(jobs, site.readiness.workers(), free)
