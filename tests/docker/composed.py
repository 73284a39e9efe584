"""The deployment of docker-compose.yml under a name of its own, on a real Docker engine."""

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.trips.deployment import FINAL, until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Composed:
    """What `docker compose` runs, seen from outside. `environment` is a file of the settings a person would choose."""

    environment: Path
    port: int
    project: str = field(default_factory=lambda: f"micronet-test-{secrets.token_hex(4)}")
    token: str = ""

    def compose(self, *arguments: str) -> str:
        """Run a compose command; what it printed. Fails if it fails."""
        options = ["--project-directory", str(ROOT), "--env-file", str(self.environment), "-p", self.project]
        return _output([*compose_command(), *options, *arguments])

    def containers(self, service: str | None = None) -> list[str]:
        """Ids of the containers of a service, or of all that run."""
        filters = ["--filter", f"label=com.docker.compose.project={self.project}"]
        if service is not None:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        return _output(["docker", "ps", "--quiet", *filters]).split()

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60)

    def submit(self, checkpoint: Path, settings: str) -> str:
        """POST a score job, which has to be accepted; its id."""
        with self.client() as client:
            files = {"checkpoint": (checkpoint.name, checkpoint.read_bytes())}
            answer = client.post("/score", data={"settings": settings}, files=files)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        with self.client() as client:
            answer = client.get(f"/jobs/{job_id}")
        assert answer.is_success, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def ended(self, job_id: str, seconds: float = 600) -> dict[str, Any]:
        """The job when it has ended."""
        until(lambda: self.job(job_id)["status"] in FINAL, seconds, lambda: f"job to end: {self.job(job_id)}")
        return self.job(job_id)

    def running(self, job_id: str) -> None:
        """Return when the job's process is at work: a stage is shown."""
        until(lambda: self.job(job_id)["stage"] is not None, 180, lambda: f"job to run: {self.job(job_id)}")

    def worker_of(self, job_id: str) -> str:
        """Id of the container whose worker claimed the job last, as the records say."""
        query = f"select worker from jobs where id = '{job_id}'"
        (database,) = self.containers("postgres")
        name = inside(database, "psql", "-U", "micronet", "-tAc", query)
        return next(container for container in self.containers("worker") if name.startswith(container))

    def addresses(self, container: str) -> dict[str, str]:
        """The container's address on each network, by the name docker-compose.yml gives it."""
        networks = inspected(container)["NetworkSettings"]["Networks"]
        return {name.removeprefix(f"{self.project}_"): network["IPAddress"] for name, network in networks.items()}

    def wait_until_healthy(self) -> None:
        """Return when every container that has a health check passes it."""
        until(lambda: set(self.health().values()) == {"healthy"}, 300, lambda: str(self.health()))

    def health(self) -> dict[str, str]:
        return {container: inspected(container)["State"]["Health"]["Status"] for container in self.containers()}


def compose_command() -> list[str]:
    """Compose as a plugin or as a program; the test is skipped where there is neither, or no engine."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker engine on this machine")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        pytest.skip("no Docker Compose on this machine")
    return ["docker-compose"]


def inside(container: str, *command: str) -> str:
    """What a command prints that runs in the container."""
    return _output(["docker", "exec", container, *command])


def inspected(container: str) -> dict[str, Any]:
    """What the engine knows of the container."""
    facts: dict[str, Any] = json.loads(_output(["docker", "inspect", container]))[0]
    return facts


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()
