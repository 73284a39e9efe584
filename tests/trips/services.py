"""Redis, PostgreSQL and an S3 server of a test's own: real processes that can be stopped, killed and started again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.trips.deployment import free_port, until


@dataclass
class Service:
    """A server process on a port of its own."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """What starts it."""
        raise AssertionError("each service says how it is started")

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.directory, start_new_session=True, **self.user()
            )
        until(self.answers, 30, lambda: f"{self.command()[0]}: {(self.directory / 'log').read_text()[-2000:]}")

    def user(self) -> dict[str, str]:
        return {}

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: int = signal.SIGKILL) -> None:
        """Signal it and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


class RedisServer(Service):
    """Redis that keeps nothing on disk unless `append` says so: what is lost is lost."""

    append = False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.directory)]
        return [needed("redis-server"), *options, "--appendonly", "yes" if self.append else "no"]


class PostgresServer(Service):
    """PostgreSQL with a data directory of its own; as user postgres where we are root, which it refuses to be."""

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Create the data directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.user():
            shutil.chown(self.directory, "postgres")
        initdb = [_postgres("initdb"), "--auth=trust", "--username=postgres", "--no-sync", str(self.directory / "data")]
        made = subprocess.run(initdb, check=False, capture_output=True, text=True, cwd=self.directory, **self.user())
        assert made.returncode == 0, made.stdout + made.stderr

    def user(self) -> dict[str, str]:
        if os.geteuid() != 0:
            return {}
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        return {"user": "postgres"}

    def command(self) -> Sequence[str]:
        options = ["-D", str(self.directory / "data"), "-p", str(self.port), "-h", "127.0.0.1"]
        return [_postgres("postgres"), *options, "-k", str(self.directory)]

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT is its fast shutdown, SIGQUIT its immediate one."""
        super().stop(number)


class S3Server(Service):
    """An S3-compatible store (moto's), in memory."""

    bucket = "micronet"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/blobs?endpoint_url={self.endpoint}&region=us-east-1"

    def command(self) -> Sequence[str]:
        return [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]


def needed(program: str) -> str:
    """Path of a program; the test is skipped where it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} on this machine")
    return found


def _postgres(program: str) -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(installed[-1]) if installed else needed(program)
