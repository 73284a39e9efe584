"""Deployments of every kind: everything under one directory; Redis and PostgreSQL; files in an S3 store."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import pytest

from micronet.progress import Silence
from tests.trips.deployment import Deployment
from tests.trips.services import PostgresServer, RedisServer, S3Server


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small real checkpoint, and the settings that score it."""
    from micronet.training.demo import train_digits

    path = tmp_path_factory.mktemp("digits") / "digits.pth"
    return path, train_digits(path, Silence()).model_dump_json(exclude_unset=True)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(_made(tmp_path / "redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    with TemporaryDirectory(prefix="micronet-postgres-") as directory:  # pytest's own are closed to other users
        server = PostgresServer(Path(directory))
        server.make()
        server.start()
        yield server
        server.stop()


@pytest.fixture
def s3_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = S3Server(_made(tmp_path / "s3"))
    server.start()
    boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1").create_bucket(Bucket=server.bucket)
    yield server
    server.stop()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Deployment]:
    """Nothing started yet; everything will lie under one directory."""
    deployment = Deployment(tmp_path / "home")
    yield deployment
    deployment.stop()


@pytest.fixture
def team_server(tmp_path: Path, redis_server: RedisServer, postgres_server: PostgresServer) -> Iterator[Deployment]:
    """Nothing started yet but Redis and PostgreSQL."""
    urls = {"MICRONET_BROKER_URL": redis_server.url, "MICRONET_DATABASE_URL": postgres_server.url}
    deployment = Deployment(tmp_path / "home", urls)
    yield deployment
    deployment.stop()


@pytest.fixture(params=["embedded", "team_server"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each kind of deployment."""
    made: Deployment = request.getfixturevalue(request.param)
    return made


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory
