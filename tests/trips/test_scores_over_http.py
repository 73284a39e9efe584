"""Networks give over HTTP, on every kind of deployment, what `micronet score --json` gives here."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trips.deployment import Deployment
from tests.trips.services import S3Server

SETTINGS = '{"track": "few", "policy": "challenge", "bits": null}'


def by_command(checkpoint: Path, data: Path, settings: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "app",
        "score",
        str(checkpoint),
        "--settings",
        settings,
        "--data",
        str(data),
        "--json",
    ]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


@pytest.mark.slow
def test_a_published_network_as_by_command(team_server: Deployment, shared_dir: Path, few_cifar100_dir: Path) -> None:
    """That all give what was published, the tests of the library show."""
    file = shared_dir / "checkpoints" / "kaist_v2_pr45.onnx"
    team_server.environment = {**team_server.environment, "MICRONET_DATA": str(few_cifar100_dir)}
    team_server.start_api()
    team_server.start_worker()
    job = team_server.submit(file, SETTINGS)
    ended = team_server.ended(job["id"], 300)
    assert ended["status"] == "succeeded", ended["error"]
    assert ended["result"] == by_command(file, few_cifar100_dir, SETTINGS)
    with team_server.client() as client:
        board = client.get("/leaderboard", params={"track": "few"}).json()
    assert [entry["job"] for entry in board["entries"]] == [job["id"]]


def test_a_state_dict_as_by_command(embedded: Deployment, digits: tuple[Path, str], tmp_path: Path) -> None:
    embedded.start_api()
    embedded.start_worker()
    ended = embedded.ended(embedded.submit(*digits)["id"])
    assert ended["result"] == by_command(digits[0], tmp_path, digits[1])


def test_what_one_job_makes_another_scores(embedded: Deployment, digits: tuple[Path, str]) -> None:
    embedded.start_api()
    embedded.start_worker()
    quantized = embedded.ended(embedded.submit(*digits, kind="quantize")["id"])
    assert quantized["status"] == "succeeded", quantized["error"]
    (artifact,) = quantized["artifacts"]
    form = {
        "checkpoint_sha256": artifact["sha256"],
        "settings": '{"track": "digits", "policy": "challenge", "bits": null}',
    }
    with embedded.client() as client:
        content = client.get(artifact["url"]).content
        assert hashlib.sha256(content).hexdigest() == artifact["sha256"]
        answer = client.post("/score", files={name: (None, value) for name, value in form.items()})
    assert answer.status_code == 202, answer.text
    again = embedded.ended(answer.json()["id"])
    assert again["status"] == "succeeded", again["error"]
    original = embedded.ended(embedded.submit(digits[0], digits[1][:-1] + ', "policy": "challenge"}')["id"])
    for key in ("accuracy", "operations", "storage", "score"):
        assert again["result"][key] == original["result"][key]


def test_files_in_an_s3_store(tmp_path: Path, s3_server: S3Server, digits: tuple[Path, str]) -> None:
    deployment = Deployment(tmp_path / "home", {"MICRONET_BLOBS_URL": s3_server.url})
    try:
        deployment.start_api()
        deployment.start_worker()
        fused = deployment.ended(
            deployment.submit(digits[0], '{"architecture": {"name": "digits"}}', kind="fuse")["id"]
        )
        assert fused["status"] == "succeeded", fused["error"]
        (artifact,) = fused["artifacts"]
        with deployment.client() as client:
            content = client.get(artifact["url"]).content
        assert hashlib.sha256(content).hexdigest() == artifact["sha256"]
        assert not list((deployment.home / "blobs").glob("*"))
    finally:
        deployment.stop()
