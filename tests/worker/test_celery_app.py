"""The doorbell over real brokers: a directory, and Redis where it runs."""

import contextlib
import queue
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from micronet.errors import SettingsError
from tests.databases import REDIS
from worker.celery_app import RING, CeleryBell, make_celery


@pytest.fixture
def redis_url() -> str:
    """A Redis database of our own... of the sixteen there are, the one tests use."""
    try:
        redis.Redis.from_url(REDIS, socket_connect_timeout=2).ping()
    except redis.ConnectionError as error:
        pytest.skip(f"no Redis at {REDIS}: {error}")
    return f"{REDIS}/9"


@pytest.fixture(params=["directory", "redis"])
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "directory":
        yield f"file://{tmp_path}/bell"
        return
    url = str(request.getfixturevalue("redis_url"))
    redis.Redis.from_url(url).flushdb()
    yield url
    redis.Redis.from_url(url).flushdb()


def test_a_ring_is_a_message_with_the_id_alone_in_the_queue_of_its_lane(broker_url: str) -> None:
    bell, job_id = CeleryBell(broker_url), uuid.uuid4().hex
    bell.ring(job_id, "long")
    bell.close()
    celery = make_celery(broker_url)
    with celery.connection_for_read() as connection, connection.SimpleQueue("long") as waiting:
        message = waiting.get(timeout=10)
    assert message.headers["task"] == RING
    assert message.payload[:2] == [[job_id], {}]


def test_ringing_without_a_broker_neither_waits_nor_fails() -> None:
    bell = CeleryBell("redis://127.0.0.1:1/0")
    rung = threading.Event()

    def ring() -> None:
        for _ in range(100):
            bell.ring("0" * 32, "short")
        rung.set()

    threading.Thread(target=ring, daemon=True).start()
    assert rung.wait(1.0)
    with contextlib.suppress(queue.Empty):
        while True:  # or it went on for minutes, and its warnings stood in what other tests print
            bell._waiting.get_nowait()
    bell.close()
    bell._thread.join(30)
    assert not bell._thread.is_alive()


@pytest.mark.parametrize("url", ["amqp://localhost", "memory://", "http://x"])
def test_other_brokers_are_refused_with_what_would_do(url: str) -> None:
    with pytest.raises(SettingsError, match="redis://host:port"):
        make_celery(url)
