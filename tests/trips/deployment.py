"""A deployment under test: real processes of `micronet`, on a home or on services of their own, that can be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

FINAL = ("succeeded", "failed", "canceled")
BRISK = {  # the defaults are for people; tests have less patience
    "MICRONET_LEASE_SECONDS": "3",
    "MICRONET_BEAT_SECONDS": "0.3",
    "MICRONET_RECONCILE_SECONDS": "1",
    "MICRONET_SWEEP_SECONDS": "1",
}


@dataclass
class Deployment:
    """API and workers of one server. `environment` says which database, broker and blobs; default: all under `home`.

    `timing`: what tests change of the server's own timing; nothing, for who measures it as people get it.
    """

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    port: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None
    timing: Mapping[str, str] = field(default_factory=lambda: BRISK)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log_path(self, name: str) -> Path:
        return (self.logs or self.home.parent) / f"{self.home.name}-{name}.log"

    def log(self, name: str) -> str:
        path = self.log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start `micronet COMMAND` as process `name`, in a process group of its own."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log_path(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", *command],
                env={
                    **_plain_environment(),
                    **self.timing,
                    "MICRONET_HOME": str(self.home),
                    **self.environment,
                    **environment,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_api(self, name: str = "api", **environment: str) -> None:
        """Start the API and wait until it answers."""
        self.port = self.port or free_port()
        self.start(name, "api", "--port", str(self.port), **environment)
        until(self.is_up, 60, f"the API to answer; its log: {self.log(name)[-3000:]}")

    def start_worker(self, name: str = "worker", **environment: str) -> None:
        self.start(name, "worker", **environment)

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/live", timeout=5).is_success
        except httpx.TransportError:
            return False

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, headers=dict(self.headers))

    def submit(self, checkpoint: Path, settings: str = "{}", kind: str = "score", **headers: str) -> dict[str, Any]:
        """POST a job; it has to be accepted."""
        with self.client() as client:
            files = {"checkpoint": (checkpoint.name, checkpoint.read_bytes())}
            answer = client.post(f"/{kind}", data={"settings": settings}, files=files, headers=headers)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        with self.client() as client:
            answer = client.get(f"/jobs/{job_id}")
        assert answer.is_success, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def ended(self, job_id: str, seconds: float = 120) -> dict[str, Any]:
        """The job when it has ended."""
        until(lambda: self.job(job_id)["status"] in FINAL, seconds, lambda: f"job to end: {self.job(job_id)}")
        return self.job(job_id)

    def running(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """The job when its process is at work: a stage is shown."""
        until(lambda: self.job(job_id)["stage"] is not None, seconds, lambda: f"job to run: {self.job(job_id)}")
        return self.job(job_id)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to process `name` alone, and for SIGKILL wait for its end."""
        process = self.processes[name]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait(10)

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to their process groups after a while."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def until(condition: Callable[[], bool], seconds: float, what: str | Callable[[], str]) -> None:
    """Wait until `condition` holds; fail, saying for what, if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MICRONET_")}
