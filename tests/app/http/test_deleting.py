"""A job that is taken back: over HTTP, and for everybody who looks at it meanwhile."""

import httpx
import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from app.services import Services
from tests.app.http.conftest import bearer, called, listening, until
from tests.app.http.results import score_text
from tests.app.http.sending import NETWORK, accepted, problem
from tests.app.http.test_events import read
from tests.app.pages.records import ended, scored
from worker.records.values import Ending, Status
from worker.sweeping import sweep


def test_a_job_goes_with_its_log_its_entry_and_its_file(any_api: TestClient, any_services: Services) -> None:
    job = accepted(any_api, {"track": "digits"})
    where, sha256 = job["urls"]["self"], job["checkpoint"]["sha256"]
    scored(any_services)
    tag = any_api.get(where).headers["etag"]
    assert any_api.get("/leaderboard?track=digits").json()["total"] == 1
    with capture_logs() as logs:
        answer = any_api.delete(where)
    assert (answer.status_code, answer.content) == (204, b"")
    told = [entry for entry in logs if entry["event"] == "job deleted"]
    assert [(entry["job"], entry["kind"], entry["status"]) for entry in told] == [(job["id"], "score", "succeeded")]
    problem(any_api.get(where, headers={"If-None-Match": tag}), 404, "job-not-found")
    problem(any_api.get(f"{where}/log"), 404, "job-not-found")
    problem(any_api.get(job["urls"]["events"]), 404, "job-not-found")
    problem(any_api.post(job["urls"]["cancel"]), 404, "job-not-found")
    problem(any_api.get(f"/blobs/{sha256}"), 404, "blob-not-found")
    problem(any_api.delete(where), 404, "job-not-found")
    assert any_api.get("/jobs").json()["jobs"] == []
    assert any_api.get("/leaderboard?track=digits").json()["entries"] == []
    sweep(any_services.settings, any_services.records, any_services.blobs)
    assert any_services.records.blobs.find(sha256, None) is None


def test_a_file_that_another_job_names_is_still_there(any_api: TestClient, any_services: Services) -> None:
    first, second = accepted(any_api, {"track": "digits"}), accepted(any_api, {"track": "digits", "seed": 1})
    scored(any_services)
    assert any_api.delete(first["urls"]["self"]).status_code == 204
    sweep(any_services.settings, any_services.records, any_services.blobs)
    assert any_api.get(f"/blobs/{second['checkpoint']['sha256']}").content == NETWORK


@pytest.mark.parametrize("claimed", [False, True])
def test_a_job_that_has_not_ended_is_to_be_canceled_first(
    any_api: TestClient, any_services: Services, claimed: bool
) -> None:
    job = accepted(any_api)
    if claimed:
        assert any_services.records.leases.claim("worker", ("short",))
    content = problem(any_api.delete(job["urls"]["self"]), 409, "job-not-ended")
    assert f"is {'running' if claimed else 'queued'}: cancel it" in content["detail"]
    assert any_api.get(job["urls"]["self"]).status_code == 200


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "%00", "A" * 32])
def test_jobs_that_are_not_there(any_api: TestClient, job_id: str) -> None:
    problem(any_api.delete(f"/jobs/{job_id}"), 404, "job-not-found")


def test_a_job_is_its_teams_own(any_services: Services) -> None:
    blue, red = (bearer(any_services, team) for team in ("blue", "red"))
    with called(any_services, open_access=False) as client:
        job = accepted(client, {"track": "digits"}, headers=blue)
        scored(any_services)
        problem(client.delete(job["urls"]["self"], headers=red), 404, "job-not-found")
        problem(client.delete(job["urls"]["self"]), 401, "token-required")
        assert client.delete(job["urls"]["self"], headers=blue).status_code == 204


def test_pages_of_other_sites_delete_nothing(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    scored(services)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        problem(api.delete(job["urls"]["self"], headers=headers), 403, "cross-site")
        problem(api.post(f"/ui/jobs/{job['id']}/delete", headers=headers), 403, "cross-site")
    assert api.get(job["urls"]["self"]).status_code == 200


def test_a_board_goes_on_behind_an_entry_that_is_gone_or_says_so(any_api: TestClient, any_services: Services) -> None:
    ids = []
    for points in (0.1, 0.2, 0.3):
        ids.append(accepted(any_api, {"track": "digits", "seed": len(ids)})["id"])
        scored(any_services, 350, points)
    second = any_api.get("/leaderboard?track=digits&policy=report&limit=1").json()["next"]
    third = any_api.get(second).json()["next"]
    any_api.delete(f"/jobs/{ids[1]}")
    page = any_api.get(second).json()
    assert ([(entry["job"], entry["rank"]) for entry in page["entries"]], page["next"]) == ([(ids[2], 2)], None)
    content = problem(any_api.get(third), 422, "invalid-request")
    assert [fault["parameter"] for fault in content["errors"]] == ["cursor"]
    assert "or not any more. Ask for" in content["detail"]


def test_a_list_goes_on_behind_a_job_that_is_gone(any_api: TestClient, any_services: Services) -> None:
    ids = []
    for seed in range(3):
        ids.append(accepted(any_api, {"seed": seed})["id"])
        scored(any_services)
    following = any_api.get("/jobs?limit=2").json()["next"]
    any_api.delete(f"/jobs/{ids[1]}")
    assert [job["id"] for job in any_api.get(following).json()["jobs"]] == ids[:1]


def test_a_stream_ends_when_its_job_is_gone(any_services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has not seen the end yet: the job ended and was deleted between two looks."""
    with listening(any_services) as url, httpx.Client(base_url=url, timeout=20) as client, capture_logs() as logs:
        job = accepted(client, {"track": "digits"})
        with client.stream("GET", job["urls"]["events"]) as answer:
            stream = read(answer.iter_lines())
            assert next(stream).status == "queued"
            looks: list[list[str]] = []

            def look(ids: list[str]) -> dict[str, int]:
                looks.append(ids)
                return dict.fromkeys(ids, 1)

            with monkeypatch.context() as patch:
                patch.setattr(any_services.records.jobs, "versions", look)
                until(lambda: len(looks) > 3)  # the reader has read what there is, and waits
                ended(any_services, Ending(Status.SUCCEEDED, score_text(350, 0.4)))
                any_services.records.jobs.delete(job["id"], "")
            assert list(stream) == []
        problem(client.get(job["urls"]["events"]), 404, "job-not-found")
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


def test_the_document_has_it(api: TestClient) -> None:
    operation = api.get("/openapi.json").json()["paths"]["/jobs/{job_id}"]["delete"]
    assert {"204", "404", "409"} <= operation["responses"].keys()
    assert "content" not in operation["responses"]["204"]
    assert operation["summary"] == "Delete Job"
