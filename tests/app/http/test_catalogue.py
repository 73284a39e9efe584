"""What there is to see: the leaderboard, tracks, architectures, health, metrics."""

import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.http import readiness
from app.services import Services
from micronet.architectures import ARCHITECTURES
from micronet.tracks import BUILT_IN
from micronet.version import version
from tests.app.http.conftest import MakeServices, called, until
from tests.app.http.results import score_text
from tests.app.http.sending import accepted, problem
from tests.app.pages.records import failed, scored
from worker.blobs.directory import DirectoryBlobs
from worker.errors import Unavailable
from worker.records.values import Ending, Status, WorkerSeen


def score(client: TestClient, services: Services, correct: int, points: float, **settings: object) -> str:
    """A job that ended with this score; its id."""
    job = accepted(client, {"track": "digits", **settings})
    claimed = services.records.leases.claim("worker", ("short",))
    assert claimed is not None
    assert services.records.leases.finish(claimed, Ending(Status.SUCCEEDED, score_text(correct, points)))
    assert claimed.id == job["id"]
    return claimed.id


def test_scores_are_ranked_paged_and_filtered(any_api: TestClient, any_services: Services) -> None:
    best = score(any_api, any_services, 350, 0.1, team="a", name="n")
    under = score(any_api, any_services, 300, 0.05, team="b")
    second = score(any_api, any_services, 349, 0.2, team="b")
    board = any_api.get("/leaderboard?track=digits&policy=report").json()
    assert [(entry["job"], entry["rank"]) for entry in board["entries"]] == [(best, 1), (second, 2), (under, None)]
    assert (board["track"], board["total"], board["next"]) == ("digits", 3, None)
    entry = board["entries"][0]
    assert (entry["team"], entry["name"], entry["qualifies"]) == ("a", "n", True)
    assert entry["accuracy"] == {"correct": 350, "total": 360, "top1": 350 / 360}
    assert entry["score"]["total"] == 0.1
    assert entry["sparsity"] == 1 - 9 / 10

    def jobs(query: str) -> list[str]:
        return [entry["job"] for entry in any_api.get(f"/leaderboard?track=digits&{query}").json()["entries"]]

    assert jobs("qualifies=true") == [best, second]
    assert jobs("team=b&sort=top1&order=desc") == [second, under]
    assert jobs("policy=challenge") == []
    assert jobs("sort=margin") == [under, second, best]
    for key in ("bits", "sparsity", "policy", "version"):
        assert jobs(f"sort={key}&order=desc") == [best, second, under]  # all alike, and so by merit
    assert jobs("search=B") == [second, under]
    assert jobs("search=N&qualifies=true") == [best]
    following = any_api.get("/leaderboard?track=digits&search=%42&limit=1").json()["next"]
    assert [entry["job"] for entry in any_api.get(following).json()["entries"]] == [under]
    found, where = [], "/leaderboard?track=digits&limit=1&qualifies=true"
    while where:
        page = any_api.get(where).json()
        assert page["total"] == 2
        found += [entry["job"] for entry in page["entries"]]
        where = page["next"]
    assert found == [best, second]


def test_scores_are_ranked_by_one_policy_or_not_at_all(api: TestClient, services: Services) -> None:
    score(api, services, 350, 0.1)
    for query, ranks in (("", [None]), ("&policy=report", [1]), ("&team=b", []), ("&policy=challenge", [])):
        entries = api.get(f"/leaderboard?track=digits{query}").json()["entries"]
        assert [entry["rank"] for entry in entries] == ranks, query


@pytest.mark.parametrize("sort", ["score", "top1", "team", "bits"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_no_entry_comes_twice_or_not_at_all_though_others_are_measured_meanwhile(
    any_api: TestClient, any_services: Services, sort: str, order: str
) -> None:
    """What is new stands before, between and behind what was there: by score 0.05, 0.15 and 0.3 among 0.1 and 0.2."""
    before = [
        score(any_api, any_services, 345 + place, points, team=team)
        for place, (points, team) in enumerate([(0.2, "b"), (0.1, None), (0.1, "b"), (0.2, None), (0.1, "c")])
    ]
    where = f"/leaderboard?track=digits&sort={sort}&order={order}"
    expected = [entry["job"] for entry in any_api.get(where).json()["entries"]]
    assert sorted(expected) == sorted(before)
    page = any_api.get(f"{where}&limit=2").json()
    found = [entry["job"] for entry in page["entries"]]
    for points, correct, team in ((0.05, 360, "a"), (0.15, 346, "b"), (0.3, 342, "z")):
        score(any_api, any_services, correct, points, team=team)
    while page["next"] is not None:
        page = any_api.get(page["next"]).json()
        found += [entry["job"] for entry in page["entries"]]
    assert len(found) == len(set(found))
    assert [job for job in found if job in before] == expected


def test_a_cursor_leads_on_in_its_own_list_only(any_api: TestClient, any_services: Services) -> None:
    first = score(any_api, any_services, 350, 0.1, team="a")
    last = score(any_api, any_services, 350, 0.2, team="b")
    where = "/leaderboard?track=digits&cursor=b"
    assert [entry["job"] for entry in any_api.get(where + first).json()["entries"]] == [last]
    assert any_api.get(where + last).json()["entries"] == []
    for wrong in (f"{first}&team=b", f"{first}&search=b", f"{first}&qualifies=false", "0" * 32, "1", "12"):
        content = problem(any_api.get(where + wrong), 422, "invalid-request")
        assert [fault["parameter"] for fault in content["errors"]] == ["cursor"]


def test_those_without_a_team_come_last_on_every_database(any_api: TestClient, any_services: Services) -> None:
    nobody = score(any_api, any_services, 350, 0.1)
    team = score(any_api, any_services, 349, 0.2, team="a")
    for order in ("asc", "desc"):
        entries = any_api.get(f"/leaderboard?track=digits&sort=team&order={order}").json()["entries"]
        assert [entry["job"] for entry in entries] == [team, nobody]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "track=",
        "track=digits&sort=id",
        "track=digits&limit=101",
        "track=digits&cursor=ajox",
        "track=digits&search=",
        "track=digits&search=%00",
        "track=digits&search=" + "x" * 101,
    ],
)
def test_boards_are_asked_for_properly(api: TestClient, query: str) -> None:
    problem(api.get(f"/leaderboard?{query}"), 422, "invalid-request")


def test_a_track_that_is_not_there(api: TestClient) -> None:
    problem(api.get("/leaderboard?track=digit"), 422, "unknown-track")


def test_tracks_and_architectures_are_listed(api: TestClient) -> None:
    tracks = {track["name"]: track for track in api.get("/tracks").json()["tracks"]}
    assert list(tracks) == list(BUILT_IN)
    assert tracks["cifar100"]["threshold"] == 0.8
    assert [result["score"] for result in tracks["cifar100"]["published"][:2]] == [0.0044, 0.0054]
    assert tracks["cifar100"]["published"][4] == BUILT_IN["cifar100"].published[4].model_dump()
    assert tracks["digits"]["published"] == []
    found = {row["name"]: row for row in api.get("/architectures").json()["architectures"]}
    assert list(found) == list(ARCHITECTURES)
    assert found["digits"]["options"]["properties"]["width"]["maximum"] == 1024


def test_tracks_of_this_server_are_listed_and_taken(make_services: MakeServices, tmp_path: Path) -> None:
    tracks = tmp_path / "data" / "tracks"
    tracks.mkdir(parents=True)
    own = BUILT_IN["digits"].model_dump(exclude={"official", "name", "note"})
    lines = ['name = "own"', *(f"{key} = {list(v) if isinstance(v, tuple) else v!r}" for key, v in own.items())]
    lines[lines.index("published = []")] = 'published = [{entrant = "Aviary", year = 2024, score = 0.5}]'
    (tracks / "own.toml").write_text("\n".join(lines))
    with called(make_services(home=tmp_path / "home", data=tmp_path / "data")) as client:
        listed = client.get("/tracks").json()["tracks"][-1]
        assert listed["name"] == "own"
        (sighting,) = listed["published"]
        assert sighting == {
            "entrant": "Aviary",
            "year": 2024,
            "score": 0.5,
            "top1": None,
            "policy": "challenge",
            "note": "",
        }
        accepted(client, {"track": "own"})
        document = client.get("/openapi.json").json()
        assert "own" in document["components"]["schemas"]["score.Settings"]["properties"]["track"]["enum"]


def test_head_is_get_without_its_body(api: TestClient, services: Services) -> None:
    """RFC 9110, 9.1: on every address that can be read, but streams of events, which have no end."""
    job = accepted(api)
    self, blob = job["urls"]["self"], f"/blobs/{job['checkpoint']['sha256']}?filename=a.onnx"
    boards = "/leaderboard?track=digits"
    for where in ("/health/live", "/health/ready", "/tracks", "/architectures", "/jobs?limit=2", boards, blob, self):
        read, asked = api.get(where), api.head(where)
        assert (asked.status_code, asked.content) == (200, b""), where
        told = {name: value for name, value in read.headers.items() if name != "x-request-id"}
        assert {name: value for name, value in asked.headers.items() if name != "x-request-id"} == told, where
    for where in ("/metrics", f"{self}/log", f"/checkpoints/{job['checkpoint']['sha256']}", "/openapi.json", "/"):
        assert api.head(where).status_code == 200, where
    assert api.head("/jobs/" + "0" * 32).status_code == 404
    assert api.head("/jobs?foo=1").status_code == 422
    assert api.head(blob, headers={"Range": "bytes=0-1"}).status_code == 200, "Range is of GET alone"


def test_the_document_says_nothing_of_head_where_it_is_but_get(api: TestClient) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    assert [path for path, operations in paths.items() if "head" in operations] == ["/checkpoints/{sha256}"]


def test_health_names_the_part_that_fails(api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    assert readiness._SECONDS <= 1
    monkeypatch.setattr(readiness, "_SECONDS", 0.0)
    services.records.workers.beat(WorkerSeen("w", "host", "both", ("cpu",), (), "1", 1, ""))
    well = {"status": "ok", "database": "ok", "blobs": "ok", "workers": 1}
    assert api.get("/health/ready").json() == well

    def away(*_: object) -> None:
        raise Unavailable("away")

    def readonly(*_: object) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(type(services.records.workers), "all", away)
        answer = api.get("/health/ready")
        assert (answer.status_code, answer.json()) == (
            503,
            {**well, "status": "failing", "database": "failing", "workers": None},
        )
    with monkeypatch.context() as patch:
        patch.setattr(DirectoryBlobs, "check", readonly)
        answer = api.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {**well, "status": "failing", "blobs": "failing"})
        assert api.get("/health/live").json() == {"status": "ok"}


def test_a_worker_that_was_killed_is_counted_no_more(any_services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody is left to remove its record."""
    monkeypatch.setattr(readiness, "_SECONDS", 0.0)
    settings = any_services.settings.model_copy(update={"lease_seconds": 0.6, "reconcile_seconds": 0.1})
    beats = count(1)

    def found() -> tuple[int, str]:
        lines = client.get("/metrics").text.splitlines()
        line = next(line for line in lines if line.startswith('micronet_workers{lane="short"}'))
        return client.get("/health/ready").json()["workers"], line

    with called(replace(any_services, settings=settings)) as client:
        for _ in range(10):
            any_services.records.workers.beat(WorkerSeen("w", "host", "both", ("cpu",), (), "1", next(beats), ""))
            time.sleep(0.1)
            assert found() == (1, 'micronet_workers{lane="short"} 1.0')
        until(lambda: found() == (0, 'micronet_workers{lane="short"} 0.0'), 20)
        any_services.records.workers.beat(WorkerSeen("w", "host", "both", ("cpu",), (), "1", next(beats), ""))
        assert found() == (1, 'micronet_workers{lane="short"} 1.0')


def test_a_database_that_is_away_is_said(api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(type(services.records.jobs), "list", away)
    answer = api.get("/jobs")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


def test_metrics_count_requests_jobs_workers_and_bytes(any_api: TestClient, any_services: Services) -> None:
    accepted(any_api, content=b"x" * 100)
    any_services.records.leases.claim("worker", ("short",))
    accepted(any_api, kind="fuse")
    any_api.get("/jobs/" + "0" * 32)
    any_api.get("/nowhere/at/all")
    any_api.request("BREW", "/jobs")
    lines = set(any_api.get("/metrics").text.splitlines())
    assert 'micronet_jobs{kind="score",lane="short",status="running"} 1.0' in lines
    assert 'micronet_jobs{kind="fuse",lane="short",status="queued"} 1.0' in lines
    assert 'micronet_jobs{kind="quantize",lane="short",status="queued"} 0.0' in lines
    assert 'micronet_http_requests_total{method="GET",route="/jobs/{job_id}",status="404"} 1.0' in lines
    assert 'micronet_http_requests_total{method="GET",route="none",status="404"} 1.0' in lines
    assert 'micronet_workers{lane="short"} 0.0' in lines
    assert any(line.startswith("micronet_upload_bytes_total 1") for line in lines)
    assert not any("BREW" in line for line in lines)
    any_services.records.leases.claim("worker", ("short",))
    assert 'micronet_jobs{kind="fuse",lane="short",status="queued"} 0.0' in any_api.get("/metrics").text


def test_metrics_tell_what_one_is_woken_for(any_api: TestClient, any_services: Services) -> None:
    """Failures of the server, a job that waits too long, and a lane that nobody works for."""
    for worker, lanes in (("a", "short"), ("b", "both"), ("c", "both")):
        any_services.records.workers.beat(WorkerSeen(worker, "host", lanes, ("cpu",), (), "1", 1, ""))
    for yours in (True, False, False):
        accepted(any_api)
        failed(any_services, yours=yours, detail='its words may be "yours":true')
    accepted(any_api)
    scored(any_services)
    accepted(any_api, filename="waits.onnx")
    time.sleep(0.02)
    lines = any_api.get("/metrics").text.splitlines()
    for line in (
        'micronet_jobs_ended{status="succeeded",yours=""} 1.0',
        'micronet_jobs_ended{status="canceled",yours=""} 0.0',
        'micronet_jobs_ended{status="failed",yours="true"} 1.0',
        'micronet_jobs_ended{status="failed",yours="false"} 2.0',
        'micronet_jobs_oldest_queued_age_seconds{lane="long"} 0.0',
        'micronet_workers{lane="short"} 3.0',
        'micronet_workers{lane="long"} 2.0',
        f'micronet_build_info{{version="{version()}"}} 1.0',
    ):
        assert line in lines
    (waits,) = (line for line in lines if line.startswith('micronet_jobs_oldest_queued_age_seconds{lane="short"}'))
    assert 0.02 <= float(waits.split()[1]) < 60
    assert next(line for line in lines if line.startswith("# HELP micronet_jobs ")).endswith(
        "max of them, not the sum."
    )


def test_metrics_tell_of_attempts_that_came_to_no_end(any_api: TestClient, any_services: Services) -> None:
    def told() -> dict[str, float]:
        name = "micronet_job_attempts_broken_off"
        lines = [line for line in any_api.get("/metrics").text.splitlines() if line.startswith(name)]
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines}

    assert told() == {"lost": 0, "given-back": 0}
    leases = any_services.records.leases
    job = accepted(any_api)
    for _ in range(2):
        assert leases.claim("w", ("short",)) is not None
        (lease,) = leases.held()
        leases.expire(lease)
    assert told() == {"lost": 2, "given-back": 0}
    accepted(any_api)
    claimed = leases.claim("w", ("short",))
    assert claimed is not None
    assert leases.give_back(claimed)
    assert told() == {"lost": 2, "given-back": 1}
    assert any_api.delete(f"/jobs/{job['id']}").status_code in (200, 204)
    assert told() == {"lost": 0, "given-back": 1}


def test_two_applications_count_apart(api: TestClient, services: Services) -> None:
    with called(services) as other:
        other.get("/tracks")
        assert "/tracks" not in api.get("/metrics").text


def test_the_application_needs_no_torch() -> None:
    program = "import sys, app.main, app.server; assert 'torch' not in sys.modules; assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
