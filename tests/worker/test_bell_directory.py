"""The directory doorbell: messages come once and whole, whoever dies while writing or reading."""

import os
import time
from pathlib import Path

import pytest
from kombu import Exchange, Queue

from worker.bell_directory import register
from worker.celery_app import make_celery


def send(url: str, queue: str, *messages: str) -> None:
    with make_celery(url).connection_for_write() as connection, connection.SimpleQueue(_as_ours(queue)) as waiting:
        for message in messages:
            waiting.put(message)


def received(url: str, queue: str) -> list[str]:
    found = []
    with make_celery(url).connection_for_read() as connection, connection.SimpleQueue(_as_ours(queue)) as waiting:
        while True:
            try:
                message = waiting.get(timeout=0.5)
            except waiting.Empty:
                return found
            message.ack()
            found.append(message.payload)


def _as_ours(name: str) -> Queue:
    """Like the lanes' queues: on the exchange that needs no binding, which kombu would remember across directories."""
    return Queue(name, exchange=Exchange(""), routing_key=name)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/bell"


def test_messages_come_once_in_order_and_in_their_own_queue(url: str) -> None:
    send(url, "short", "a", "b", "c")
    send(url, "long", "d")
    assert received(url, "short") == ["a", "b", "c"]
    assert received(url, "short") == []
    assert received(url, "long") == ["d"]


@pytest.mark.parametrize("content", [b"", b'{"half', b"\xff\xfe", b"[]"[:1]])
def test_a_message_that_cannot_be_read_is_dropped_and_stops_nobody(url: str, tmp_path: Path, content: bytes) -> None:
    make_celery(url)
    (tmp_path / "bell" / "00000000000000000000-torn.short.msg").write_bytes(content)
    send(url, "short", "whole")
    assert received(url, "short") == ["whole"]
    assert not list((tmp_path / "bell").glob("*.msg"))


def test_a_message_has_no_name_until_it_is_whole(url: str, tmp_path: Path) -> None:
    make_celery(url)
    (tmp_path / "bell" / ".00000000000000000000-unfinished.short.msg").write_bytes(b"{}")
    assert received(url, "short") == []


def test_what_killed_writers_left_goes_at_the_next_start(tmp_path: Path) -> None:
    old, young = tmp_path / ".1-old.short.msg", tmp_path / ".2-young.short.msg"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 3600,) * 2)
    register(tmp_path)
    assert not old.exists()
    assert young.exists()
