"""Running the server: everything at once, or its two halves."""

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from app.commands.options import DataDir, Home
from app.reporting import reported
from micronet.errors import SettingsError

if TYPE_CHECKING:
    from worker.settings import Settings

Host = Annotated[str, typer.Option(help="Address to listen on; others than loopback need access tokens.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Parent = Annotated[int | None, typer.Option(hidden=True, help="End when this process does.")]
Lanes = Annotated[
    Literal["short", "long", "both"] | None,
    typer.Option("--kinds", envvar="MICRONET_LANES", help="Which jobs to take, by length; by default both."),
]
Slots = Annotated[
    int | None, typer.Option(min=1, max=64, help="Jobs at a time; by default one per GPU, or one on the CPU.")
]

OF_COMMANDS = frozenset({"MICRONET_SERVER", "MICRONET_TOKEN"})
"""Variables that only those who ask a server have."""


def serve(host: Host = "127.0.0.1", port: Port = 8000, home: Home = None, data: DataDir = None) -> None:
    """API and worker together, with nothing else installed: records in SQLite, files in --home."""
    from app.logs import configure_logs
    from app.server import listen
    from app.server import serve as run

    with reported(as_json=False):
        settings = read_settings(home, data)
        configure_logs(settings.log_level)
        _log_unread()
        run(settings, listen(host, port), print)


def api(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    home: Home = None,
    data: DataDir = None,
    descriptor: Annotated[int | None, typer.Option(hidden=True, help="Socket to listen on.")] = None,
    parent: Parent = None,
) -> None:
    """The HTTP half. Keeps no state of its own: run several behind a proxy."""
    import socket

    from app.logs import configure_logs
    from app.processes import die_with_parent
    from app.server import listen, run_api

    die_with_parent(parent)
    with reported(as_json=False):
        settings = read_settings(home, data)
        configure_logs(settings.log_level)
        if parent is None:  # which would have said it
            _log_unread()
        listening = listen(host, port) if descriptor is None else socket.socket(fileno=descriptor)
        run_api(settings, listening)


def worker(
    home: Home = None, data: DataDir = None, kinds: Lanes = None, slots: Slots = None, parent: Parent = None
) -> None:
    """The working half: one job per GPU, or one on the CPU. Joins a server by MICRONET_*_URL from any host."""
    from app.logs import configure_logs
    from app.processes import die_with_parent
    from worker.main import run_worker

    die_with_parent(parent)
    with reported(as_json=False):
        settings = read_settings(home, data)
        configure_logs(settings.log_level)
        if parent is None:
            _log_unread()
        run_worker(settings.model_copy(update={"lanes": kinds or settings.lanes, "slots": slots or settings.slots}))


def read_settings(home: Path | None, data: Path | None) -> "Settings":
    """Settings from the environment, and what was given as options. Raises SettingsError."""
    from worker.settings import Settings

    given = {name: path.absolute() for name, path in (("home", home), ("data", data)) if path is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # every key is a field of type Path
    except ValidationError as error:
        faults = "; ".join(f"MICRONET_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
        raise SettingsError(faults) from error


def unread_variables() -> dict[str, str | None]:
    """Variables of the environment that are named like a setting and are none, and the setting that is nearest."""
    from worker.settings import Settings

    prefix = str(Settings.model_config["env_prefix"])
    settings = [name.upper() for name in Settings.model_fields]
    given = sorted(name.removeprefix(prefix) for name in os.environ if name.startswith(prefix))
    nearest = {name: difflib.get_close_matches(name, settings, n=1) for name in given if name not in settings}
    return {
        prefix + name: prefix + near[0] if near else None
        for name, near in nearest.items()
        if prefix + name not in OF_COMMANDS
    }


def _log_unread() -> None:
    import structlog

    for name, nearest in unread_variables().items():
        structlog.get_logger().warning("variable is no setting, and not read", variable=name, nearest=nearest)
