"""What a client makes of a server that cannot answer just now: it asks again, as long as its patience lasts."""

import hashlib
from pathlib import Path

import httpx
import pytest

from app.client import Later, ServerError
from app.client.connection import Patience
from micronet.contract import ScoreSettings, TrainSettings
from tests.app.unreliable import Fault, Lost, Network, Refused, a_job, answering, connected

PROBLEM = {"code": "later", "title": "Later", "detail": "not now"}


ENDED = httpx.Response(200, json=a_job(status="succeeded"))


def test_a_server_that_never_gets_ready_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {"status": "failing", "database": "ok", "blobs": "failing", "workers": 1}
    with (
        answering(monkeypatch, (httpx.Response(503, json=failing) for _ in range(1000))) as client,
        pytest.raises(ServerError, match="blobs"),
    ):
        client.wait_until_ready(0.2)


def test_a_job_is_followed_through_times_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    later = [httpx.Response(status, json=PROBLEM) for status in (503, 429, 502, 504)]
    with answering(monkeypatch, iter([*later, ENDED])) as client:
        assert list(client.follow("job")) == [a_job(status="succeeded")]


def test_a_job_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"code": "job-not-found", "title": "No such job", "detail": "there is no such job"}
    with answering(monkeypatch, iter([httpx.Response(404, json=problem)])) as client, pytest.raises(ServerError):
        next(client.follow("job"))


@pytest.mark.parametrize("code", ["storage-quota", "dataset-missing"])
def test_what_somebody_has_to_do_something_about_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    problem = httpx.Response(429, json={"code": code, "title": "No", "detail": "no"})
    with answering(monkeypatch, [problem]) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert (raised.value.code, isinstance(raised.value, Later)) == (code, False)


def test_a_server_nobody_ever_met_is_not_waited_for_and_one_that_was_is(monkeypatch: pytest.MonkeyPatch) -> None:
    mock = httpx.MockTransport(lambda _: httpx.Response(200, json=a_job()))
    with connected(monkeypatch, Network(iter([Refused(), None]), mock)) as client:
        with pytest.raises(ServerError) as raised:
            client.job("1")
        assert (raised.value.code, raised.value.yours, isinstance(raised.value, Later)) == ("unreachable", False, False)
    network = Network(iter([None, Refused(), Refused(), Lost(), 502, None]), mock)
    with connected(monkeypatch, network) as client:
        assert client.job("1") == client.job("1") == a_job()
        assert len(network.requests) == 6


def slowed(monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[float]]:
    """The time, and what was slept of it: pauses are from 1 to 4 seconds, and a server may ask for 60."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("app.client.connection._FIRST_PAUSE", 1.0)
    monkeypatch.setattr("app.client.connection._LONGEST_PAUSE", 4.0)
    monkeypatch.setattr("app.client.connection._LONGEST_ASKED", 60.0)
    monkeypatch.setattr("app.client.connection.time.sleep", sleep)
    return now, slept


def asking_for(seconds: float) -> Later:
    """An answer that asks to be left alone for so long."""
    error = Later("not now")
    error.seconds = seconds
    return error


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are 1, 2, 4, 4 ... seconds where nobody asks for more; 20 s end before the seventh."""
    now, slept = slowed(monkeypatch)
    patience, error = Patience(20, lambda: now[0]), ServerError("d", code="c", title="t", yours=False)
    for _ in range(6):
        patience.wait(error)
    assert slept == [1, 2, 4, 4, 4, 4]
    with pytest.raises(ServerError) as raised:
        patience.wait(error)
    assert raised.value is error
    patience.forward()
    patience.wait(asking_for(3))
    patience.wait(asking_for(60))
    assert slept[-2:] == [3, 17], "for a last try at the end"
    with pytest.raises(ServerError):
        patience.wait(asking_for(60))


def test_who_asks_to_be_left_alone_is_for_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = slowed(monkeypatch)
    patience = Patience(300, lambda: now[0])
    for seconds in (30, 60, 3600):
        patience.wait(asking_for(seconds))
    assert slept == [30, 60, 60]


def test_a_server_whose_disk_is_full_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    _, slept = slowed(monkeypatch)
    problem = {"code": "storage-full", "title": "No space is left", "detail": "send it again when some was made"}
    full = httpx.Response(507, headers={"Retry-After": "60"}, json=problem)
    with answering(monkeypatch, [full, full, httpx.Response(200, json=a_job())]) as client:
        assert client.job("1") == a_job()
    assert slept == [pytest.approx(30, abs=1)] * 2, "patience is 30 seconds here, and no second of them passes"


def test_a_job_that_is_sent_again_is_sent_under_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(iter([Lost(), 503, None]), httpx.MockTransport(lambda _: httpx.Response(202, json=a_job())))
    with connected(monkeypatch, network) as client:
        assert client.submit("train", None, ScoreSettings(seed=3)) == a_job()
        client.submit("train", None, ScoreSettings(seed=3))
    keys = [request.headers["idempotency-key"] for request in network.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]


GONE = {"code": "job-not-found", "title": "No such job", "detail": "there is no such job"}


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Lost(), httpx.Response(204)),
        (502, None),
        (504, None),
        (None, httpx.Response(503, json={"code": "unavailable", "title": "Later", "detail": "no database"})),
    ],
)
def test_a_job_that_went_when_an_answer_was_lost_was_deleted(
    monkeypatch: pytest.MonkeyPatch, fault: Fault, answer: httpx.Response | None
) -> None:
    answers = iter([*([] if answer is None else [answer]), httpx.Response(404, json=GONE)])
    network = Network(iter([fault, None]), httpx.MockTransport(lambda _: next(answers)))
    with connected(monkeypatch, network) as client:
        client.delete("1")
    assert [(request.method, request.url.path) for request in network.requests] == [("DELETE", "/jobs/1")] * 2


@pytest.mark.parametrize("before", [[], [503, 429, Refused()]])
def test_a_job_that_was_not_there_is_not_said_to_be_deleted(
    monkeypatch: pytest.MonkeyPatch, before: list[Fault]
) -> None:
    network = Network(iter(before), httpx.MockTransport(lambda _: httpx.Response(404, json=GONE)))
    with connected(monkeypatch, network) as client, pytest.raises(ServerError) as raised:
        client.delete("1")
    assert raised.value.code == "job-not-found"


def test_a_file_that_went_with_another_job_is_sent_once_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It was there when it was sent, and the job it was there for was deleted before this one named it."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"content")
    missing = no_checkpoint(hashlib.sha256(b"content").hexdigest())
    posts = [missing, httpx.Response(202, json=a_job())]

    def answer(request: httpx.Request) -> httpx.Response:
        return posts.pop(0) if request.method == "POST" else httpx.Response(200, json={})

    network = Network(beyond=httpx.MockTransport(answer))
    with connected(monkeypatch, network) as client:
        assert client.submit("score", path, ScoreSettings()) == a_job()
        posts += [missing, missing]
        with pytest.raises(ServerError, match="PUT it first"):
            client.submit("score", path, ScoreSettings())
    assert [request.method for request in network.requests] == ["PUT", "POST"] * 4


def no_checkpoint(sha256: str) -> httpx.Response:
    """As servers say which file it is that is not there."""
    detail = f"no checkpoint {sha256} is here; PUT it first"
    return httpx.Response(404, json={"code": "checkpoint-not-found", "title": "No", "detail": detail})


def test_where_a_teacher_is_missing_the_network_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"content")
    missing = no_checkpoint("a" * 64)
    network = Network(
        beyond=httpx.MockTransport(
            lambda request: missing if request.method == "POST" else httpx.Response(200, json={})
        )
    )
    with connected(monkeypatch, network) as client, pytest.raises(ServerError, match="a" * 64):
        client.submit("train", path, TrainSettings())
    assert [request.method for request in network.requests] == ["PUT", "POST"]


def test_a_mark_that_no_header_can_carry_is_not_sent_back(monkeypatch: pytest.MonkeyPatch) -> None:
    marked = httpx.Response(200, headers=[(b"ETag", b'"\xe9"')], json=a_job())
    with answering(monkeypatch, [marked, ENDED]) as client:
        assert [job["status"] for job in client.follow("1")] == ["queued", "succeeded"]
