"""The whole road through the server: killed in every stage it ends with the very bytes of a run nobody disturbed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from micronet.contract import PipelineResult
from micronet.jobs import JOBS, Context
from tests.trips.deployment import FINAL, Deployment, until
from tests.trips.processes import job_processes, nothing_stays

NOTHING = {"crop": 0, "flip": False, "policy": "none"}
TUNING = {"epochs": 4, "batch": 32, "learning_rate": 0.05, "augmentation": NOTHING}
SETTINGS: dict[str, Any] = {
    "track": "digits",
    "architecture": {"name": "digits"},
    "stages": [
        {"stage": "train", "epochs": 6, "batch": 32, "learning_rate": 0.1, "augmentation": NOTHING},
        {"stage": "prune", "ratio": 0.4, "rounds": 2, "factor_images": 200, "fine_tuning": TUNING},
        {"stage": "sparsify", "rounds": 2, "fine_tuning": TUNING},
        {"stage": "fuse"},
        {"stage": "quantize", "bits": {"param_bits": 6, "mul_bits": 8}, "quantizer": {"rule": "mse"}, "train": TUNING},
    ],
}
FILES = ["1-train.onnx", "2-prune.onnx", "3-sparsify.onnx", "4-fuse.onnx", "5-quantize.onnx"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> PipelineResult:
    """What this pipeline answers when nobody disturbs it."""
    outputs = tmp_path_factory.mktemp("outputs")
    settings = JOBS["pipeline"].settings.model_validate_json(json.dumps(SETTINGS))
    result = JOBS["pipeline"].run(settings, None, Context(device="cpu", outputs=outputs))
    assert isinstance(result, PipelineResult)
    return result


def submit(deployment: Deployment, settings: dict[str, Any] = SETTINGS) -> str:
    with deployment.client() as client:
        answer = client.post("/pipeline", files={"settings": (None, json.dumps(settings))})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["id"])


def kill_in(deployment: Deployment, job_id: str, stage: str) -> None:
    """Wait until the job is in a stage, and kill its process there."""

    def there() -> bool:
        job = deployment.job(job_id)
        assert job["status"] not in FINAL, job["error"]
        return job["stage"] is not None and job["stage"]["name"] == stage and bool(job_processes(deployment.home))

    until(there, 120, stage)
    for pid in job_processes(deployment.home):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_killed_in_every_stage(team_server: Deployment, undisturbed: PipelineResult, tmp_path: Path) -> None:
    team_server.start_api()
    team_server.start_worker()
    job_id = submit(team_server)
    stages = [name.removesuffix(".onnx") for name in FILES if "fuse" not in name]  # which is over in a moment
    for stage in stages:
        kill_in(team_server, job_id, stage)
    ended = team_server.ended(job_id, 240)
    assert ended["status"] == "succeeded", ended["error"]
    assert ended["attempt"] == len(stages) + 1
    answered = PipelineResult.model_validate_json(json.dumps(ended["result"]))
    assert answered.model_copy(update={"scorer": undisturbed.scorer}) == undisturbed
    assert [artifact["name"] for artifact in ended["artifacts"]] == FILES
    assert {artifact["sha256"] for artifact in ended["artifacts"]} == {
        stage.artifact.sha256 for stage in undisturbed.stages
    }
    nothing_stays(team_server)
    scored = team_server.ended(_score(team_server, undisturbed.artifact.sha256))
    assert scored["result"]["score"] == ended["result"]["score"]


def _score(deployment: Deployment, sha256: str) -> str:
    form: dict[str, Any] = {"checkpoint_sha256": sha256, "settings": '{"track": "digits", "bits": null}'}
    with deployment.client() as client:
        answer = client.post("/score", files={name: (None, value) for name, value in form.items()})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["id"])


@pytest.mark.slow
def test_a_pipeline_shows_where_it_is_and_is_canceled(embedded: Deployment) -> None:
    embedded.start_api()
    embedded.start_worker()
    job_id = submit(embedded)

    def in_training() -> bool:
        job = embedded.job(job_id)
        return job["stage"] is not None and job["stage"]["name"] == "1-train" and job["progress"] is not None

    until(in_training, 60, "training to begin")
    job = embedded.job(job_id)
    assert (job["stage"]["index"], job["stage"]["count"], job["progress"]["unit"]) == (2, 6, "epochs")
    with embedded.client() as client:
        client.post(f"/jobs/{job_id}/cancel")
    until(lambda: not job_processes(embedded.home), 3, "the process to end")
    assert embedded.ended(job_id, 5)["status"] == "canceled"
    nothing_stays(embedded)


@pytest.mark.slow
def test_a_pipeline_that_fails_late_keeps_the_files_of_the_stages_before(embedded: Deployment) -> None:
    """The training of its second stage comes apart."""
    embedded.start_api()
    embedded.start_worker()
    training, fusing = SETTINGS["stages"][0], SETTINGS["stages"][3]
    ruin = training | {"epochs": 1, "learning_rate": 100.0}
    job_id = submit(embedded, SETTINGS | {"stages": [training | {"epochs": 1}, fusing, ruin]})
    ended = embedded.ended(job_id, 120)
    assert (ended["status"], ended["error"]["stage"]) == ("failed", "3-train")
    assert [artifact["name"] for artifact in ended["artifacts"]] == ["1-train.onnx", "2-fuse.onnx"]
    nothing_stays(embedded)
    scored = embedded.ended(_score(embedded, ended["artifacts"][1]["sha256"]))
    assert scored["status"] == "succeeded"
