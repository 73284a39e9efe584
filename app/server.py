"""Starting the halves of the server: the API in this process, or API and worker as children of it."""

import errno
import ipaddress
import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from app.http.connection import Connection
from app.main import create_app
from app.processes import Child, end_all, keep_running
from app.services import open_services
from micronet.errors import SettingsError
from worker.records import Records
from worker.settings import Settings

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises SettingsError where that cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"cannot listen on {host}: {reason}; choose another --host.") from error
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        other = "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
        raise SettingsError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another {other}."
        ) from error
    listening.listen(_BACKLOG)
    return listening


def run_api(settings: Settings, listening: socket.socket) -> None:
    """Serve HTTP on `listening` until SIGTERM.

    Raises SettingsError where strangers could get in without tokens, and as `open_services` does.
    """
    with closing(open_services(settings)) as services:
        app = create_app(settings, services, open_access=is_open(services.records, listening))
        uvicorn.Server(configuration(app, settings.idle_seconds)).run(sockets=[listening])


def configuration(app: ASGIApp, idle_seconds: float, end_seconds: int = 5) -> uvicorn.Config:
    """How HTTP is served. `end_seconds`: for those who are being answered when the server ends."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=Connection,
        ws="none",
        timeout_keep_alive=math.ceil(idle_seconds),
        timeout_graceful_shutdown=end_seconds,
    )


def is_open(records: Records, listening: socket.socket) -> bool:
    """Whether everybody may do everything: only on loopback, and only while no token was ever made.

    Revoking the last one opens nothing: then nobody gets in until another is made. Raises SettingsError where
    strangers could get in.
    """
    if records.tokens.were_made():
        return False
    address = ipaddress.ip_address(listening.getsockname()[0])
    if not address.is_loopback:
        raise SettingsError(
            f"{address} can be reached by others, and there are no access tokens yet: make one for each team with "
            "`micronet token create TEAM`, or listen on 127.0.0.1."
        )
    return True


def serve(settings: Settings, listening: socket.socket, say: Callable[[str], None]) -> None:
    """API and worker, until SIGTERM or SIGINT; whichever dies is started again, on the same socket.

    Raises, before anything starts, what `run_api` does.
    """
    with closing(open_services(settings)) as services:
        tokens = "" if is_open(services.records, listening) else "; access tokens are needed"
    host, port = listening.getsockname()[:2]
    say(f"http://{f'[{host}]' if ':' in host else host}:{port}  (state in {settings.home}{tokens})")
    keep_running(_halves(settings, listening))


@contextmanager
def private_server(home: Path, data: Path | None, log: Path) -> Iterator[str]:
    """A server of our own on a free port of loopback, with its state in `home` and its log in `log`; its URL."""
    settings = Settings(home=home, data=data, database_url=None, broker_url=None, blobs_url=None)
    listening = listen("127.0.0.1", 0)
    with log.open("wb") as written:
        children = _halves(settings, listening, written.fileno())
        for child in children:
            child.look()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        end_all(children)
        listening.close()


def _halves(settings: Settings, listening: socket.socket, log: int | None = None) -> list[Child]:
    environment = {**os.environ, **_as_environment(settings)}
    descriptor = listening.fileno()
    return [
        Child("api", ["api", "--descriptor", str(descriptor)], environment, [descriptor], log),
        Child("worker", ["worker"], environment, log=log),
    ]


def _as_environment(settings: Settings) -> dict[str, str]:
    """What a child reads its settings from: those its parent was given as options."""
    given = {"MICRONET_HOME": settings.home, "MICRONET_DATA": settings.data}
    urls = {
        "MICRONET_DATABASE_URL": settings.database,
        "MICRONET_BROKER_URL": settings.broker,
        "MICRONET_BLOBS_URL": settings.blobs,
    }
    return {name: str(value) for name, value in {**given, **urls}.items() if value is not None}
