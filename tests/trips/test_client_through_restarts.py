"""A client whose server dies and comes back, in mid-upload and in mid-job, ends well, and sends only a piece twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.client.uploading import PIECE
from tests.trips.deployment import Deployment, until
from tests.trips.networks import UNQUANTIZED, write_heavy
from tests.trips.processes import nothing_stays
from tests.trips.relay import Relay

MIB = 1 << 20
SOCKETS = 8 * MIB
"""What the kernel may hold of a connection: sent for the client, never seen by the server."""


def submitting(file: Path, url: str) -> "subprocess.Popen[str]":
    """`micronet submit`, begun."""
    command = [sys.executable, "-m", "app", "submit", str(file), "--settings", UNQUANTIZED, "--server", url, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_submit_ends_well_though_its_server_is_killed_again_and_again(embedded: Deployment, tmp_path: Path) -> None:
    file = write_heavy(tmp_path / "heavy.onnx", layers=24, width=65_536)
    size = file.stat().st_size
    assert size > 4 * PIECE
    embedded.start_api()
    with Relay(embedded.port) as relay, submitting(file, relay.url) as client:
        relay.hold_at(2 * PIECE + PIECE // 2)
        assert relay.holds.wait(60)
        embedded.kill("api")
        embedded.start_api()
        relay.release()

        until(lambda: bool(_jobs(embedded)), 120, "the job to be accepted")
        (job_id,) = _jobs(embedded)
        embedded.start_worker()
        until(lambda: embedded.job(job_id)["progress"] is not None, 240, lambda: f"work on {embedded.job(job_id)}")
        embedded.kill("worker")
        embedded.kill("api")
        embedded.start_api()
        embedded.start_worker()
        said, complaints = client.communicate(timeout=300)

    assert client.returncode == 0, complaints
    ended = embedded.job(job_id)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    assert json.loads(said) == ended["result"]
    assert ended["checkpoint"]["filename"] == "heavy.onnx"
    assert _jobs(embedded) == [job_id]
    assert size < relay.sent < size + PIECE + SOCKETS
    nothing_stays(embedded)


def _jobs(deployment: Deployment) -> list[str]:
    with deployment.client() as client:
        return [job["id"] for job in client.get("/jobs").json()["jobs"]]
