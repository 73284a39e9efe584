"""Is the server alive, and can it do its work?"""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from app.http.documented import Answers, success
from app.http.readiness import Ready
from app.http.routing import api_router
from app.http.site import SiteDep


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


def health_router() -> APIRouter:
    """For load balancers and for `docker compose`; no token is needed."""
    router = api_router("server", prefix="/health")
    router.add_api_route("/live", _live, methods=["GET"], name="live")
    answers: Answers = {200: success(Ready, "Ready"), 503: success(Ready, "A part is failing")}
    router.add_api_route("/ready", _ready, methods=["GET"], name="ready", responses=answers)
    return router


async def _live() -> Alive:
    """The process answers."""
    return Alive()


async def _ready(site: SiteDep) -> Response:
    """Database and store of files can be used; 503 says which cannot."""
    ready = await site.readiness.look()
    return Response(ready.model_dump_json(), 200 if ready.status == "ok" else 503, media_type="application/json")
