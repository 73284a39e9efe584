"""The log of a job, as its sender reads it."""

import pytest
from fastapi.testclient import TestClient

from app.http.schemas import JobLog
from app.services import Services
from tests.app.http.conftest import bearer, called
from tests.app.http.sending import accepted, problem
from worker.records.values import Ending, Event, JobError, LogEntry, Stage, Status


def test_a_log_tells_what_happened(any_api: TestClient, any_services: Services) -> None:
    where = accepted(any_api)["urls"]["self"]
    job = any_services.records.leases.claim("host-1", ("short",))
    assert job is not None
    began = LogEntry("2026-01-31T12:00:00.123Z", Event.STAGE, "read <b>(1 of 4)</b>")
    any_services.records.leases.beat(job, Stage("read", 1, 4), [began])
    error = JobError(code="corrupt-file", title="Damaged", detail="all of it")
    any_services.records.leases.finish(job, Ending(Status.FAILED, error=error))
    answer = any_api.get(f"{where}/log").json()
    assert list(answer) == ["entries"]
    assert [list(entry) for entry in answer["entries"]] == [["at", "event", "text"]] * 4
    assert answer["entries"][2] == {"at": began.at, "event": "stage", "text": began.text}
    assert [entry["event"] for entry in answer["entries"]] == ["queued", "claimed", "stage", "ended"]


def test_a_log_is_its_teams_own(services: Services) -> None:
    blue, red = (bearer(services, team) for team in ("blue", "red"))
    with called(services, open_access=False) as client:
        where = accepted(client, headers=blue)["urls"]["self"] + "/log"
        assert len(client.get(where, headers=blue).json()["entries"]) == 1
        problem(client.get(where, headers=red), 404, "job-not-found")
        problem(client.get(where), 401, "token-required")


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "%00"])
def test_logs_of_jobs_that_are_not_there(api: TestClient, job_id: str) -> None:
    problem(api.get(f"/jobs/{job_id}/log"), 404, "job-not-found")


def test_a_log_is_in_the_document(api: TestClient) -> None:
    document = api.get("/openapi.json").json()
    answer = document["paths"]["/jobs/{job_id}/log"]["get"]["responses"]
    assert answer["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/JobLog"}
    assert "404" in answer
    assert document["components"]["schemas"]["LogEntryView"]["properties"]["event"] == {
        "$ref": "#/components/schemas/Event"
    }
    assert document["components"]["schemas"]["Event"]["enum"] == list(Event)
    assert document["components"]["schemas"]["JobLog"]["properties"]["entries"]["maxItems"] == 1000
    JobLog.model_validate({"entries": []})
