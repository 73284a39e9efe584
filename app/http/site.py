"""What every request of one application needs, made when it starts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.http.measuring import Metrics
from app.http.rates import Rates
from app.http.readiness import Readiness
from app.http.threads import Threads
from app.http.tokens import KnownTokens
from app.http.watch import Watch
from app.services import Services

_DATABASE_THREADS, _FILE_THREADS = 12, 12  # together fewer than the database has connections


@dataclass(frozen=True, slots=True)
class Site:
    """`open_access`: no tokens, everybody on this machine may do everything."""

    services: Services
    open_access: bool
    database: Threads
    files: Threads
    tokens: KnownTokens
    rates: Rates
    watch: Watch
    metrics: Metrics
    readiness: Readiness

    def close(self) -> None:
        """Let running work end."""
        self.database.close()
        self.files.close()


def open_site(services: Services, open_access: bool, metrics: Metrics) -> Site:
    """A site on these services."""
    database, files = Threads("database", _DATABASE_THREADS), Threads("files", _FILE_THREADS)
    return Site(
        services,
        open_access,
        database,
        files,
        KnownTokens(services.records.tokens, database),
        Rates(services.settings.team_requests_per_second),
        Watch(services.records.jobs, database, open_access),
        metrics,
        Readiness(services, database, files),
    )


def site_of(connection: HTTPConnection) -> Site:
    """The site of the application a request came to."""
    site: Site = connection.app.state.site
    return site


async def _site(connection: HTTPConnection) -> Site:
    return site_of(connection)  # a dependency that is no coroutine is run in a thread


SiteDep = Annotated[Site, Depends(_site)]
