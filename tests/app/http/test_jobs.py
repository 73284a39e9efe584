"""Jobs as their senders follow them: read, listed, canceled."""

import json

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from app.http.schemas import JobList, JobView
from app.services import Services
from tests.app.http.sending import accepted, problem
from tests.app.http.test_submission import KEYS
from worker.records.values import Artifact, Ending, Job, JobError, Stage, Status

LANES = ("short", "long")


def claim(services: Services) -> Job:
    """The next job, as a worker has it."""
    job = services.records.leases.claim("worker", LANES)
    assert job is not None
    return job


def test_a_running_job_says_how_far_it_is(any_api: TestClient, any_services: Services) -> None:
    accepted(any_api)
    job = claim(any_services)
    any_services.records.leases.beat(job, Stage("evaluate", 3, 4, 3200, 10_000, "images"))
    answer = any_api.get(f"/jobs/{job.id}").json()
    JobView.model_validate(answer)
    assert list(answer) == KEYS
    assert (answer["status"], answer["attempt"], answer["queue_position"]) == ("running", 1, None)
    assert list(answer["stage"].items()) == [("name", "evaluate"), ("index", 3), ("count", 4)]
    assert list(answer["progress"].items()) == [("done", 3200), ("total", 10_000), ("unit", "images")]
    any_services.records.leases.beat(job, Stage("pack", 4, 4))
    assert any_api.get(f"/jobs/{job.id}").json()["progress"] is None


def test_a_job_that_succeeded_has_its_result_and_files(any_api: TestClient, any_services: Services) -> None:
    accepted(any_api, kind="fuse")
    job = claim(any_services)
    files = (Artifact(name='fused "1".onnx', sha256="a" * 64, size=5),)
    result = '{"a":[1,2.50,"ü\\n"]}'
    assert any_services.records.leases.finish(job, Ending(Status.SUCCEEDED, result, artifacts=files))
    answer = any_api.get(f"/jobs/{job.id}")
    assert f'"result":{result},' in answer.text
    assert answer.json()["artifacts"] == [
        {
            "name": 'fused "1".onnx',
            "sha256": "a" * 64,
            "size": 5,
            "url": f"/blobs/{'a' * 64}?filename=fused%20%221%22.onnx",
        }
    ]
    (listed,) = any_api.get("/jobs").json()["jobs"]
    assert listed == {**answer.json(), "result": None}


def test_a_job_that_failed_says_why(any_api: TestClient, any_services: Services) -> None:
    accepted(any_api)
    job = claim(any_services)
    error = JobError(code="corrupt-file", title="Damaged", detail='byte 3 is "\u2028"', stage="read", yours=True)
    any_services.records.leases.finish(job, Ending(Status.FAILED, error=error))
    answer = any_api.get(f"/jobs/{job.id}").json()
    assert list(answer["error"]) == ["code", "title", "detail", "stage", "retryable", "yours"]
    assert answer["error"] == error.model_dump()


def test_an_unchanged_job_is_not_sent_twice(api: TestClient, services: Services) -> None:
    where = accepted(api)["urls"]["self"]
    tag = api.get(where).headers["etag"]
    again = api.get(where, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    accepted(api)
    services.records.jobs.cancel(where.rpartition("/")[2])
    assert api.get(where, headers={"If-None-Match": tag}).status_code == 200


def test_a_result_is_read_only_to_be_sent(any_api: TestClient, any_services: Services) -> None:
    accepted(any_api, kind="fuse")
    job = claim(any_services)
    assert any_services.records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"))
    asked: list[str] = []

    def keep(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(any_services.records.database.engine, "before_cursor_execute", keep)
    where = f"/jobs/{job.id}"
    answer = any_api.get(where)
    assert answer.json()["result"] == {}
    assert "jobs.result" in "".join(asked)
    del asked[:]
    tag = answer.headers["etag"]
    assert any_api.get(where, headers={"If-None-Match": tag}).status_code == 304
    assert any_api.get(f"{where}/log").status_code == 200
    assert "event: job" in any_api.get(f"{where}/events").text
    assert "FROM jobs" in "".join(asked)
    assert "jobs.result" not in "".join(asked)


def test_a_tag_changes_when_the_queue_moves(api: TestClient, services: Services) -> None:
    accepted(api)
    second = accepted(api)["urls"]["self"]
    before = api.get(second)
    claim(services)
    after = api.get(second, headers={"If-None-Match": before.headers["etag"]})
    assert (before.json()["queue_position"], after.json()["queue_position"]) == (2, 1)


def test_a_waiting_job_is_canceled_at_once_and_a_running_one_soon(any_api: TestClient, any_services: Services) -> None:
    first, second = accepted(any_api), accepted(any_api)
    claim(any_services)
    answer = any_api.post(second["urls"]["cancel"], headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    answer = any_api.post(first["urls"]["cancel"])
    assert (answer.status_code, answer.json()["status"]) == (202, "canceling")
    assert any_api.post(first["urls"]["cancel"]).status_code == 202
    assert any_api.post(second["urls"]["cancel"]).json() == any_api.get(second["urls"]["self"]).json()


def test_lists_are_newest_first_and_paged_without_gaps(any_api: TestClient) -> None:
    ids = [accepted(any_api)["id"] for _ in range(7)]
    found, where, sizes = [], "/jobs?limit=3", []
    while where:
        page = any_api.get(where).json()
        JobList.model_validate(page)
        sizes.append(len(page["jobs"]))
        found += [job["id"] for job in page["jobs"]]
        accepted(any_api)  # what comes meanwhile moves nothing
        where = page["next"]
    assert found == ids[::-1]
    assert sizes == [3, 3, 1]


def test_lists_are_filtered(any_api: TestClient) -> None:
    accepted(any_api, {"team": "blue & green"})
    fused = accepted(any_api, {"team": "red"}, kind="fuse")
    any_api.post(fused["urls"]["cancel"])

    def teams(query: str) -> list[str]:
        return [job["team"] for job in any_api.get(f"/jobs?{query}").json()["jobs"]]

    assert teams("") == ["red", "blue & green"]
    assert teams("kind=fuse") == teams("status=canceled") == teams("team=red") == ["red"]
    assert teams("team=blue%20%26%20green&status=queued&kind=score") == ["blue & green"]
    assert teams("kind=fuse&status=queued") == []
    assert teams(f"id_prefix={fused['id'][:6]}") == teams(f"id_prefix={fused['id']}") == ["red"]
    assert (
        any_api.get(f"/jobs?id_prefix={fused['id'][:8]}&limit=1")
        .json()["next"]
        .startswith(f"/jobs?id_prefix={fused['id'][:8]}&limit=1&cursor=")
    )
    following = any_api.get("/jobs?team=blue%20%26%20green&limit=1").json()["next"]
    assert any_api.get(following).json() == {"jobs": [], "next": None}


def test_positions_in_lists_are_those_of_the_jobs(any_api: TestClient) -> None:
    for team in ("a", "a", "b", "a"):
        accepted(any_api, {"team": team})
    listed = any_api.get("/jobs").json()["jobs"]
    assert [job["queue_position"] for job in listed] == [4, 2, 3, 1]
    for job in listed:
        assert any_api.get(job["urls"]["self"]).json() == job


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("status=done", "status"),
        ("kind=bake", "kind"),
        ("team=", "team"),
        ("team=%00", "team"),
        ("team=" + "x" * 201, "team"),
        ("id_prefix=abcde", "id_prefix"),
        ("id_prefix=ABCDEF", "id_prefix"),
        ("id_prefix=" + "0" * 33, "id_prefix"),
        ("cursor=x", "cursor"),
        ("cursor=ajoxMQ%3D%3D%0A", "cursor"),
        ("cursor=Yjox", "cursor"),  # of a leaderboard
        ("cursor=" + "x" * 100, "cursor"),
        ("foo=1", "foo"),
        ("Kind=score", "Kind"),
        ("limit=1&" + "x" * 10_000, "x" * 200),
    ],
)
def test_parameters_that_are_wrong_are_named(any_api: TestClient, query: str, parameter: str) -> None:
    content = problem(any_api.get(f"/jobs?{query}"), 422, "invalid-request")
    assert [fault["parameter"] for fault in content["errors"]] == [parameter]
    assert len(json.dumps(content)) < 1000


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "%00", "A" * 32, "0" * 1000, "٣" * 32])
def test_jobs_that_are_not_there(any_api: TestClient, job_id: str) -> None:
    problem(any_api.get(f"/jobs/{job_id}"), 404, "job-not-found")
    problem(any_api.get(f"/jobs/{job_id}/events"), 404, "job-not-found")
    problem(any_api.post(f"/jobs/{job_id}/cancel"), 404, "job-not-found")


def test_other_addresses_and_methods(api: TestClient) -> None:
    problem(api.get("/nothing"), 404, "no-such-address")
    problem(api.get("/jobs/"), 404, "no-such-address")
    for method, where, allowed in (
        ("DELETE", "/jobs", "GET, HEAD"),
        ("HEAD", "/score", "POST"),
        ("HEAD", f"/jobs/{'0' * 32}/events", "GET"),
        ("GET", "/score", "POST"),
        ("POST", "/checkpoints/" + "0" * 64, "DELETE, GET, HEAD, PATCH, PUT"),
    ):
        answer = api.request(method, where)
        assert answer.status_code == 405
        if method != "HEAD":
            problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed


def test_kinds_are_named_where_one_is_wrong(api: TestClient) -> None:
    content = problem(api.get("/jobs?kind=bake"), 422, "invalid-request")
    assert "quantize" in content["detail"]


def test_a_parameter_nobody_knows_is_answered_with_those_there_are(api: TestClient) -> None:
    content = problem(api.get("/jobs?stauts=failed&kind=score"), 422, "invalid-request")
    assert content["detail"] == "no such parameter; there are status, kind, team, id_prefix, limit, cursor."
    assert (
        problem(api.get("/leaderboard?track=digits&sotr=team"), 422, "invalid-request")["errors"][0]["parameter"]
        == "sotr"
    )
    assert api.get("/health/live?probe=1").status_code == 200, "where there is nothing to ask for, nothing is mistaken"
