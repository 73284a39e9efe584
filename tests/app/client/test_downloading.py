"""A file that a job made is fetched whole, whatever breaks, or is said to be damaged."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.client import ServerError
from tests.app.unreliable import answering, connected


def artifact(content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"name": "made.onnx", "sha256": sha256, "size": len(content), "url": "/blobs/1"}


def test_a_file_is_fetched_from_where_the_connection_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    content, asked = bytes(range(256)) * 10, []

    def breaking(first: int) -> Iterator[bytes]:
        yield content[first : first + 1000]
        raise httpx.ReadError("the connection broke")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("range"))
        first = int((asked[-1] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if first < 2000:
            return httpx.Response(206 if asked[-1] else 200, content=breaking(first))
        return httpx.Response(206, content=content[first:])

    file = io.BytesIO(b"before")
    file.seek(6)
    with connected(monkeypatch, httpx.MockTransport(answer)) as client:
        client.download(artifact(content), file)
    assert file.getvalue() == b"before" + content
    assert asked == [None, "bytes=1000-", "bytes=2000-"]


def test_a_file_of_a_store_that_cannot_seek_is_fetched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("the connection broke")

    file = io.BytesIO()
    answers = [httpx.Response(200, content=half()), httpx.Response(200, content=b"half and half")]
    with answering(monkeypatch, answers) as client:
        client.download(artifact(b"half and half"), file)
    assert file.getvalue() == b"half and half"


def test_a_file_that_came_before_the_connection_broke_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of_it() -> Iterator[bytes]:
        yield b"content"
        raise httpx.ReadError("the connection broke")

    file = io.BytesIO()
    with answering(monkeypatch, [httpx.Response(200, content=all_of_it())]) as client:
        client.download(artifact(b"content"), file)
    assert file.getvalue() == b"content"


@pytest.mark.parametrize("came", [b"kontent", b"conten", b"contents", b""])
def test_what_is_not_the_file_that_the_job_made_is_damaged(monkeypatch: pytest.MonkeyPatch, came: bytes) -> None:
    made, found = artifact(b"content"), artifact(came)
    with answering(monkeypatch, [httpx.Response(200, content=came)]) as client, pytest.raises(ServerError) as raised:
        client.download(made, io.BytesIO())
    assert (raised.value.code, raised.value.yours) == ("damaged", False)
    for told in (
        f"made.onnx: {len(came)} bytes with sha256 {found['sha256']} came",
        f"7 bytes with sha256 {made['sha256']}",
    ):
        assert told in str(raised.value)


def test_of_a_file_that_is_damaged_after_a_break_all_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Iterator[bytes]:
        yield b"kon"
        raise httpx.ReadError("the connection broke")

    answers = [httpx.Response(200, content=half()), httpx.Response(206, content=b"tent")]
    with answering(monkeypatch, answers) as client, pytest.raises(ServerError, match=artifact(b"kontent")["sha256"]):
        client.download(artifact(b"content"), io.BytesIO())
