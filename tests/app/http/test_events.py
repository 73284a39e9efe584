"""A job as a stream of events."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from app.http import events, tokens, watch
from app.services import Services
from tests.app.http.conftest import bearer, listening, until
from tests.app.http.results import score_text
from tests.app.http.sending import accepted, problem
from worker.errors import Unavailable
from worker.records.values import Ending, Stage, Status


@pytest.fixture
def client(services: Services) -> Iterator[httpx.Client]:
    with listening(services) as url, httpx.Client(base_url=url, timeout=20) as connected:
        yield connected


@dataclass
class Event:
    """As a browser sees it."""

    kind: str
    id: str
    status: str
    text: str


def read(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"])["status"], fields["data"])
            fields = {}


def test_every_change_is_told_until_the_job_has_ended(client: httpx.Client, services: Services) -> None:
    job = accepted(client)

    def work() -> None:
        claimed = services.records.leases.claim("worker", ("short",))
        assert claimed is not None
        time.sleep(0.6)
        services.records.leases.beat(claimed, Stage("read", 1, 2, 0, 10, "images"))
        time.sleep(0.6)
        services.records.leases.finish(claimed, Ending(Status.SUCCEEDED, score_text(350, 0.1)))

    with client.stream("GET", job["urls"]["events"]) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = read(answer.iter_lines())
        first = next(stream)
        worker = threading.Thread(target=work)
        worker.start()
        told = [first, *stream]
    worker.join()
    assert [event.status for event in told] == ["queued", "running", "running", "succeeded"]
    assert {event.kind for event in told} == {"job"}
    assert [event.id for event in told] == ["1-1", "2-0", "3-0", "4-0"]
    assert client.get(job["urls"]["self"]).headers["etag"] == f'"{told[-1].id}"'
    assert json.loads(told[0].text) == job
    assert json.loads(told[-1].text)["result"] is None


def test_a_stream_goes_on_where_it_was_lost(client: httpx.Client, services: Services) -> None:
    job = accepted(client)
    services.records.jobs.cancel(job["id"])
    for seen, expected in ((None, ["canceled"]), ("1-1", ["canceled"]), ("2-0", [])):
        headers = {} if seen is None else {"Last-Event-ID": seen}
        with client.stream("GET", job["urls"]["events"], headers=headers) as answer:
            assert [event.status for event in read(answer.iter_lines())] == expected
            assert answer.status_code == (200 if expected else 204), "204 tells a browser not to come back"


def test_two_readers_of_one_job_are_both_told(client: httpx.Client, services: Services) -> None:
    job = accepted(client)
    heard: list[list[str]] = []

    def listen() -> None:
        with client.stream("GET", job["urls"]["events"]) as answer:
            heard.append([event.status for event in read(answer.iter_lines())])

    readers = [threading.Thread(target=listen) for _ in range(5)]
    for reader in readers:
        reader.start()
        time.sleep(0.15)
    services.records.jobs.cancel(job["id"])
    for reader in readers:
        reader.join(timeout=10)
    assert heard == [["queued", "canceled"]] * 5


def test_a_fault_while_looking_leaves_nobody_waiting(
    client: httpx.Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = accepted(client)
    versions, faults = services.records.jobs.versions, [RuntimeError("a bug")]

    def look(ids: list[str]) -> dict[str, int]:
        if faults:
            raise faults.pop()
        return versions(ids)

    monkeypatch.setattr(services.records.jobs, "versions", look)
    with client.stream("GET", job["urls"]["events"]) as answer:
        stream = read(answer.iter_lines())
        assert next(stream).status == "queued"
        until(lambda: not faults)
        services.records.jobs.cancel(job["id"])
        assert [event.status for event in stream] == ["canceled"]


def test_a_quiet_line_is_kept_open(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert events._KEEP_ALIVE_SECONDS == 15
    monkeypatch.setattr(events, "_KEEP_ALIVE_SECONDS", 0.3)
    job = accepted(client)
    with client.stream("GET", job["urls"]["events"]) as answer:
        assert next(line for line in answer.iter_lines() if line.startswith(":")) == ": still here"


def test_readers_that_leave_make_room(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_MOST", 2)
    monkeypatch.setattr(watch, "_MOST_OF_OWNER", 1)  # nobody's, on an open server
    job = accepted(client)
    where = job["urls"]["events"]
    with client.stream("GET", where) as one, client.stream("GET", where) as two:
        listening = [read(answer.iter_lines()) for answer in (one, two)]  # one that is let go of hangs up
        for stream in listening:
            next(stream)
        refused = client.get(where)
        problem(refused, 503, "too-many-streams")
        assert refused.headers["retry-after"]

    def room() -> bool:
        with client.stream("GET", where) as answer:
            return answer.status_code == 200

    until(room)


def test_of_those_who_come_at_once_all_get_an_answer(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_MOST", 3)
    where, gathered, statuses = accepted(client)["urls"]["events"], threading.Barrier(12), []

    def listen() -> None:
        gathered.wait(timeout=20)
        with client.stream("GET", where) as answer:
            statuses.append(answer.status_code)
            lines = answer.iter_lines()  # let go of, it would hang up
            next(lines)
            gathered.wait(timeout=20)

    readers = [threading.Thread(target=listen) for _ in range(12)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=30)
    assert sorted(statuses) == [200] * 3 + [503] * 9


@pytest.fixture
def guarded(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(tokens, "_SECONDS", 0.0)
    with (
        listening(services, open_access=False) as url,
        httpx.Client(base_url=url, timeout=20) as connected,
    ):
        yield connected


def test_one_team_leaves_room_for_others(
    guarded: httpx.Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (watch._MOST, watch._MOST_OF_OWNER) == (200, 32)
    monkeypatch.setattr(watch, "_MOST", 4)
    monkeypatch.setattr(watch, "_MOST_OF_OWNER", 2)
    teams = [bearer(services, team) for team in ("blue", "red", "green")]
    urls = [accepted(guarded, headers=team)["urls"]["events"] for team in teams]

    def refused(team: int) -> str:
        answer = guarded.get(urls[team], headers=teams[team])
        assert answer.headers["retry-after"]
        return str(problem(answer, 503, "too-many-streams")["detail"])

    with ExitStack() as stack:
        for team in (0, 0, 1, 1):
            answer = stack.enter_context(guarded.stream("GET", urls[team], headers=teams[team]))
            assert answer.status_code == 200
        assert "2 event streams of your team are open" in refused(0)
        assert "4 event streams are open" in refused(2)


@pytest.mark.parametrize("quiet", [True, False])
def test_a_stream_ends_with_its_token(
    guarded: httpx.Client, services: Services, monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    if quiet:
        monkeypatch.setattr(events, "_KEEP_ALIVE_SECONDS", 0.3)
    blue = bearer(services, "blue")
    job = accepted(guarded, headers=blue)
    with guarded.stream("GET", job["urls"]["events"], headers=blue) as answer:
        stream = read(answer.iter_lines())
        assert next(stream).status == "queued"
        services.records.tokens.revoke("blue")
        if not quiet:
            services.records.jobs.cancel(job["id"])
        assert list(stream) == []
    problem(guarded.get(job["urls"]["events"], headers=blue), 401, "token-required")


def test_a_quiet_stream_outlives_a_database_that_stays_away(
    guarded: httpx.Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_KEEP_ALIVE_SECONDS", 0.2)
    blue = bearer(services, "blue")
    job = accepted(guarded, headers=blue)
    asked: list[str] = []

    def away(token: str) -> str:
        asked.append(token)
        raise Unavailable("the database does not answer")

    with guarded.stream("GET", job["urls"]["events"], headers=blue) as answer:
        stream = read(answer.iter_lines())
        assert next(stream).status == "queued"
        with monkeypatch.context() as patch:
            patch.setattr(services.records.tokens, "team", away)
            until(lambda: len(asked) >= 2)
        services.records.jobs.cancel(job["id"])
        assert [event.status for event in stream] == ["canceled"]


@pytest.mark.parametrize("seen", ["", "x", "-1", "2", "2-1", "2-00", "9" * 30, "\xff"])
def test_whatever_else_was_seen_the_job_is_told_as_it_is(client: httpx.Client, services: Services, seen: str) -> None:
    """A browser that is refused never comes back, and what it saw last may be from before a database was restored."""
    job = accepted(client)
    services.records.jobs.cancel(job["id"])
    with client.stream("GET", job["urls"]["events"], headers={"Last-Event-ID": seen.encode("latin-1")}) as answer:
        assert [(event.id, event.status) for event in read(answer.iter_lines())] == [("2-0", "canceled")]


def test_the_place_in_the_queue_is_told_whenever_it_changes(client: httpx.Client, services: Services) -> None:
    first, second, third = (accepted(client, {"seed": seed}) for seed in range(3))
    with client.stream("GET", third["urls"]["events"]) as answer:
        stream = read(answer.iter_lines())
        told = [next(stream)]
        for job in (second, first):
            services.records.jobs.cancel(job["id"])
            told.append(next(stream))
        assert [json.loads(event.text)["queue_position"] for event in told] == [3, 2, 1]
        assert [event.id for event in told] == ["1-3", "1-2", "1-1"]
        assert client.get(third["urls"]["self"]).headers["etag"] == '"1-1"'
    with client.stream("GET", third["urls"]["events"], headers={"Last-Event-ID": "1-2"}) as answer:
        assert next(read(answer.iter_lines())).id == "1-1", "what changed while nobody listened"
    with client.stream("GET", third["urls"]["events"], headers={"Last-Event-ID": "1-1"}) as answer:
        stream = read(answer.iter_lines())
        services.records.jobs.cancel(third["id"])
        assert [event.id for event in stream] == ["2-0"], "and what was seen is not told again"
