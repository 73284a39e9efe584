"""Servers to be measured: real processes, with the timing that people get."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.trips.deployment import Deployment
from tests.trips.services import PostgresServer, RedisServer


@contextmanager
def embedded(directory: Path) -> Iterator[Deployment]:
    """Everything under one directory; nothing is started yet."""
    deployment = Deployment(_made(directory) / "home", timing={})
    try:
        yield deployment
    finally:
        deployment.stop()


@contextmanager
def team(directory: Path) -> Iterator[Deployment]:
    """Redis and PostgreSQL of its own run; nothing else is started yet."""
    with ExitStack() as stack:
        redis = RedisServer(_made(directory / "redis"))
        redis.start()
        stack.callback(redis.stop)
        postgres = PostgresServer(_made(directory / "postgres"))
        postgres.make()
        postgres.start()
        stack.callback(postgres.stop)
        urls = {"MICRONET_BROKER_URL": redis.url, "MICRONET_DATABASE_URL": postgres.url}
        deployment = Deployment(directory / "home", urls, timing={})
        stack.callback(deployment.stop)
        yield deployment


KINDS: Mapping[str, Callable[[Path], AbstractContextManager[Deployment]]] = {
    "embedded": embedded,
    "Redis and PostgreSQL": team,
}


def _made(directory: Path) -> Path:
    """PostgreSQL runs as another user, who has to get to its files."""
    directory.mkdir(parents=True, exist_ok=True)
    os.chmod(directory, 0o755)
    return directory
