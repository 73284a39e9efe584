"""Who may do what: teams apart from each other, and web pages of strangers apart from everybody."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.http import tokens
from app.services import Services
from tests.app.http.conftest import MakeServices, bearer, called, listening
from tests.app.http.sending import accepted, pointers, problem, send

PRIVATE = ("/jobs", "/jobs/" + "0" * 32, "/leaderboard?track=digits", "/tracks", "/architectures", "/blobs/" + "0" * 64)


@pytest.fixture
def guarded(any_services: Services) -> Iterator[TestClient]:
    """A server with tokens."""
    with called(any_services, open_access=False) as client:
        yield client


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic bW46bW4=", "Bearer mn_" + "x" * 43, "Bearer mn_" + "x" * 10_000]
)
def test_without_a_token_nothing_is_told(guarded: TestClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for where in PRIVATE:
        answer = guarded.get(where, headers=headers)
        problem(answer, 401, "token-required")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    problem(send(guarded, headers=headers), 401, "token-required")
    problem(guarded.put("/checkpoints/" + "0" * 64, content=b"x", headers=headers), 401, "token-required")


def test_health_and_metrics_need_no_token(guarded: TestClient) -> None:
    for where in ("/health/live", "/health/ready", "/metrics", "/openapi.json"):
        assert guarded.get(where).status_code == 200


def test_a_job_is_entered_for_the_team_of_its_token(guarded: TestClient, any_services: Services) -> None:
    blue = bearer(any_services, "blue")
    for settings in ({}, {"team": "blue"}):
        job = accepted(guarded, settings, headers=blue)
        assert (job["team"], job["settings"]["team"]) == ("blue", "blue")
    content = problem(send(guarded, {"team": "red"}, headers=blue), 422, "invalid-settings")
    assert pointers(content) == ["/settings/team"]


def test_teams_do_not_see_or_touch_each_other(guarded: TestClient, any_services: Services) -> None:
    blue, red = bearer(any_services, "blue"), bearer(any_services, "red")
    job = accepted(guarded, headers=blue)
    sha256 = job["checkpoint"]["sha256"]
    urls = job["urls"]
    problem(guarded.get(urls["self"], headers=red), 404, "job-not-found")
    problem(guarded.get(urls["events"], headers=red), 404, "job-not-found")
    problem(guarded.get(f"{urls['self']}/log", headers=red), 404, "job-not-found")
    problem(guarded.post(urls["cancel"], headers=red), 404, "job-not-found")
    problem(guarded.delete(urls["self"], headers=red), 404, "job-not-found")
    problem(guarded.get(f"/blobs/{sha256}", headers=red), 404, "blob-not-found")
    problem(guarded.get(f"/checkpoints/{sha256}", headers=red), 404, "checkpoint-not-found")
    form = {"checkpoint_sha256": (None, sha256)}
    problem(guarded.post("/score", files=form, headers=red), 404, "checkpoint-not-found")
    for query in ("", "?team=blue"):
        assert guarded.get(f"/jobs{query}", headers=red).json()["jobs"] == []
    assert [found["id"] for found in guarded.get("/jobs", headers=blue).json()["jobs"]] == [job["id"]]
    assert guarded.get(urls["self"], headers=blue).json()["status"] == "queued"
    assert guarded.get(f"/blobs/{sha256}", headers=blue).status_code == 200


def test_the_same_key_of_two_teams_is_two_jobs(guarded: TestClient, any_services: Services) -> None:
    key = {"Idempotency-Key": "one"}
    ids = {accepted(guarded, headers=bearer(any_services, team) | key)["id"] for team in ("blue", "red")}
    assert len(ids) == 2


def test_a_revoked_token_is_refused_soon(
    guarded: TestClient, any_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tokens._SECONDS <= 5
    monkeypatch.setattr(tokens, "_SECONDS", 0.0)
    blue = bearer(any_services, "blue")
    assert guarded.get("/jobs", headers=blue).status_code == 200
    any_services.records.tokens.revoke("blue")
    problem(guarded.get("/jobs", headers=blue), 401, "token-required")


def test_a_team_may_ask_only_so_often(make_services: MakeServices) -> None:
    services = make_services(team_requests_per_second=20)
    with called(services, open_access=False) as client:
        blue, red = bearer(services, "blue"), bearer(services, "red")
        answers = [client.get("/jobs", headers=blue) for _ in range(60)]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        problem(refused[0], 429, "too-many-requests")
        assert refused[0].headers["retry-after"] == "1"
        assert client.get("/jobs", headers=red).status_code == 200
        assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", ""]
)
def test_an_open_server_answers_to_its_own_name_only(api: TestClient, host: str) -> None:
    for where in ("/jobs", "/metrics", "/openapi.json"):
        problem(api.get(where, headers={"Host": host}), 421, "unknown-host")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"])
def test_an_open_server_answers_no_proxy(api: TestClient, services: Services, header: str) -> None:
    """The shortest recipes ask for 127.0.0.1, whatever the proxy was asked for: the whole world would be let in."""
    passed_on = {"Host": "127.0.0.1:8000", header: "203.0.113.9"}
    for where in ("/jobs", "/metrics", "/openapi.json"):
        answer = api.get(where, headers=passed_on)
        problem(answer, 421, "unknown-host")
        assert "micronet token create" in answer.json()["detail"]
    problem(send(api, headers=passed_on), 421, "unknown-host")
    with called(services, open_access=False) as guarded:
        assert guarded.get("/metrics", headers=passed_on).status_code == 200


@pytest.mark.parametrize(
    ("version", "open_access", "status"), [("1.0", True, 421), ("1.1", True, 200), ("1.0", False, 200)]
)
def test_an_open_server_answers_nothing_that_comes_as_nginx_passes_it_on(
    services: Services, version: str, open_access: bool, status: int
) -> None:
    """By `proxy_pass` alone: the name it was reached by is gone, and no header tells of who asked."""
    with listening(services, open_access) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=20) as raw:
            raw.sendall(f"GET /metrics HTTP/{version}\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.split()[1] == str(status).encode()
    assert (b"micronet token create" in answer) == (status == 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:80", "[::1]"])
def test_names_of_this_machine(api: TestClient, host: str) -> None:
    assert api.get("/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_cannot_send_to_an_open_server(api: TestClient, headers: dict[str, str]) -> None:
    job = accepted(api)
    problem(send(api, headers=headers), 403, "cross-site")
    problem(api.post(job["urls"]["cancel"], headers=headers), 403, "cross-site")
    problem(api.put("/checkpoints/" + "0" * 64, headers=headers), 403, "cross-site")
    assert len(api.get("/jobs").json()["jobs"]) == 1


@pytest.mark.parametrize("headers", [{"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}])
def test_the_pages_of_the_server_itself_may(api: TestClient, headers: dict[str, str]) -> None:
    accepted(api, headers=headers)


def test_every_answer_has_headers_that_protect_readers(api: TestClient) -> None:
    for where in ("/jobs", "/nothing", "/jobs?limit=0", "/metrics"):
        headers = api.get(where).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers


def test_the_log_says_who_asked_for_what_and_which_job_came_of_it(services: Services) -> None:
    token = bearer(services, "red")
    with called(services, open_access=False) as client, capture_logs(processors=[merge_contextvars]) as logs:
        job = accepted(client, headers={**token, "X-Request-ID": "sending", "Idempotency-Key": "k"})
        again = accepted(client, headers={**token, "X-Request-ID": "again", "Idempotency-Key": "k"})
        client.post(job["urls"]["cancel"], headers={**token, "X-Request-ID": "canceling"})
        client.delete(job["urls"]["self"], headers={**token, "X-Request-ID": "deleting"})
        client.get("/jobs", headers={"Authorization": "Bearer mn_wrong", "X-Request-ID": "stranger"})
    assert again["id"] == job["id"]
    told = [entry for entry in logs if "job" in entry]
    assert [(entry["event"], entry["request"]) for entry in told] == [
        ("job accepted", "sending"),
        ("cancel asked", "canceling"),
        ("job deleted", "deleting"),
    ]
    assert {(entry["job"], entry["kind"], entry["team"]) for entry in told} == {(job["id"], "score", "red")}
    teams = {entry["request"]: entry["team"] for entry in logs if entry["event"] == "request"}
    assert teams == {"sending": "red", "again": "red", "canceling": "red", "deleting": "red", "stranger": None}
    assert {entry["client"] for entry in logs if entry["event"] == "request"} == {"testclient"}
    assert token["Authorization"].split()[1] not in str(logs)


def test_a_fault_is_logged_once_with_its_request(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(services.records.jobs, "list", broken)
    with called(services) as client, capture_logs(processors=[merge_contextvars]) as logs:
        answer = client.get("/jobs", headers={"X-Request-ID": "asking"})
    assert answer.status_code == 500
    assert "a fault of ours" not in answer.text
    told = [(entry["event"], entry["request"]) for entry in logs if entry["event"] in ("fault", "request")]
    assert told == [("fault", "asking"), ("request", "asking")]
