"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.http.board import board_router
from app.http.catalogue import catalogue_router
from app.http.checkpoints import checkpoints_router
from app.http.error_answers import install_handlers
from app.http.events import events_router
from app.http.files import files_router
from app.http.gate import Gate
from app.http.health import health_router
from app.http.jobs import jobs_router
from app.http.log import log_router
from app.http.measuring import Metrics
from app.http.metrics import metrics_router
from app.http.openapi import install_openapi
from app.http.site import open_site
from app.pages.nowhere import install_nowhere
from app.pages.routers import PAGE_ROUTERS
from app.services import Services, open_services
from app.sweeper import sweeping
from micronet.version import version
from worker.settings import Settings

_ROUTERS = (
    jobs_router,
    events_router,
    log_router,
    checkpoints_router,
    files_router,
    board_router,
    catalogue_router,
    health_router,
    metrics_router,
)


def create_app(settings: Settings, services: Services | None = None, open_access: bool = False) -> FastAPI:
    """The server's HTTP half. Without `services` it opens those `settings` name when it starts, and closes them.

    `open_access`: no tokens are asked for; only for servers nobody else can reach.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = services or open_services(settings)
        app.state.site = open_site(opened, open_access, metrics)
        try:
            with sweeping(opened):
                yield
        finally:
            app.state.site.close()
            if services is None:
                opened.close()

    app = FastAPI(
        title="micronet",
        version=version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for router in (*_ROUTERS, *PAGE_ROUTERS):
        app.include_router(router())
    app.add_middleware(Gate, metrics=metrics, open_access=open_access)
    install_handlers(app)
    install_nowhere(app)
    install_openapi(app, settings, open_access)
    return app
