"""Jobs that need no file, and files that settings name."""

import hashlib
import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.services import Services
from micronet.jobs import JOBS
from tests.app.http.conftest import called
from tests.app.http.sending import NETWORK, pointers, problem, send

OPTIONAL = [kind for kind, job in JOBS.items() if job.file == "optional"]
DIGITS: dict[str, Any] = {"track": "digits", "architecture": {"name": "digits"}}
TEACHER = hashlib.sha256(NETWORK).hexdigest()


def send_settings(
    client: TestClient, settings: dict[str, Any], kind: str = "train", headers: dict[str, str] | None = None
) -> httpx.Response:
    """POST a form without a file."""
    return client.post(f"/{kind}", files={"settings": (None, json.dumps(settings))}, headers=headers)


@pytest.mark.parametrize("kind", OPTIONAL)
def test_a_job_that_needs_no_file_names_an_architecture(api: TestClient, kind: str) -> None:
    job = send_settings(api, DIGITS, kind)
    assert job.status_code == httpx.codes.ACCEPTED, job.text
    assert job.json()["checkpoint"] is None
    assert api.get(job.headers["Location"]).json()["checkpoint"] is None
    assert api.get("/jobs").json()["jobs"][0]["checkpoint"] is None
    fault = problem(send_settings(api, {"track": "digits"}, kind), 422, "invalid-settings")
    assert pointers(fault) == ["/settings/architecture"]


@pytest.mark.parametrize("kind", OPTIONAL)
def test_it_takes_a_file_as_well(api: TestClient, kind: str) -> None:
    job = send(api, {"track": "digits"}, kind=kind)
    assert job.status_code == httpx.codes.ACCEPTED, job.text
    assert job.json()["checkpoint"]["sha256"] == TEACHER


def test_other_jobs_need_their_file(api: TestClient) -> None:
    assert send_settings(api, DIGITS, "score").status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_a_track_nobody_knows_is_found_at_once(api: TestClient) -> None:
    fault = problem(send_settings(api, {**DIGITS, "track": "digit"}), 422, "invalid-settings")
    assert pointers(fault) == ["/settings/track"]


def test_the_same_key_is_the_same_job_without_a_file_too(api: TestClient) -> None:
    key = {"Idempotency-Key": "a-key"}
    first, again = (send_settings(api, DIGITS, headers=key).json()["id"] for _ in range(2))
    assert first == again
    problem(send_settings(api, {**DIGITS, "seed": 1}, headers=key), 422, "idempotency-conflict")
    problem(send(api, DIGITS, kind="train", headers=key), 422, "idempotency-conflict")


def test_a_teacher_has_to_be_here(any_api: TestClient) -> None:
    wanted = {**DIGITS, "distillation": {"teacher": TEACHER}}
    problem(send_settings(any_api, wanted), 404, "checkpoint-not-found")
    assert any_api.get("/jobs").json()["jobs"] == []
    assert any_api.put(f"/checkpoints/{TEACHER}", content=NETWORK).is_success
    assert send_settings(any_api, wanted).status_code == httpx.codes.ACCEPTED


def test_and_be_the_teams_own(services: Services) -> None:
    blue, red = (services.records.tokens.create(team) for team in ("blue", "red"))
    wanted = {**DIGITS, "distillation": {"teacher": TEACHER}}
    with called(services, open_access=False) as client:
        client.headers["Authorization"] = f"Bearer {blue}"
        assert client.put(f"/checkpoints/{TEACHER}", content=NETWORK).is_success
        assert send_settings(client, wanted).status_code == httpx.codes.ACCEPTED
        client.headers["Authorization"] = f"Bearer {red}"
        problem(send_settings(client, wanted), 404, "checkpoint-not-found")
