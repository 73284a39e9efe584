"""Checkpoints in pieces: whatever ends a piece, the next goes on, and the whole is the file or is nothing."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.http import pieces
from app.services import Services
from tests.app.http.conftest import MakeServices, bearer, called, listening, stored_files, until
from tests.app.http.sending import problem
from tests.app.http.test_live_uploads import Raw
from worker.blobs.directory import DirectoryBlobs
from worker.errors import Unavailable
from worker.partials import Partial, Partials

CONTENT = bytes(range(256)) * 10_000
LENGTH = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHERE = f"/checkpoints/{SHA256}"


def add(
    client: TestClient | httpx.Client,
    offset: int,
    content: bytes,
    length: int = LENGTH,
    where: str = WHERE,
    **headers: str,
) -> httpx.Response:
    """PATCH a piece."""
    given = {"Upload-Offset": str(offset), "Upload-Length": str(length), **headers}
    return client.patch(where, content=content, headers=given)


def so_far(client: TestClient | httpx.Client, where: str = WHERE, **headers: str) -> int:
    """What HEAD says of a file that is not here."""
    answer = client.head(where, headers=headers)
    assert answer.status_code == 404
    return int(answer.headers["upload-offset"])


def partial_files(services: Services) -> list[str]:
    return [path.name for path in services.partials.root.glob("*")]


def test_pieces_become_a_checkpoint(any_api: TestClient, any_services: Services) -> None:
    assert so_far(any_api) == 0
    for begin, end in ((0, 100), (100, LENGTH - 7)):
        answer = add(any_api, begin, CONTENT[begin:end])
        assert (answer.status_code, answer.headers["upload-offset"], answer.content) == (204, str(end), b"")
        assert so_far(any_api) == end
        problem(any_api.get(WHERE), 404, "checkpoint-not-found")
        assert stored_files(any_services) == []
    last = add(any_api, LENGTH - 7, CONTENT[LENGTH - 7 :])
    assert (last.status_code, last.headers["location"]) == (201, WHERE)
    assert last.json() == any_api.get(WHERE).json() == {"sha256": SHA256, "size": LENGTH}
    assert add(any_api, 0, CONTENT[:100]).status_code == 200
    assert any_api.get(f"/blobs/{SHA256}").content == CONTENT
    assert len(stored_files(any_services)) == 1
    assert partial_files(any_services) == []


def test_every_way_to_cut_it_gives_the_same_file(make_services: MakeServices) -> None:
    with called(make_services(team_requests_per_second=100_000)) as client:

        @settings(max_examples=20, database=None)
        @given(st.binary(min_size=1, max_size=300), st.lists(st.integers(1, 100), min_size=1))
        def check(content: bytes, sizes: list[int]) -> None:
            where, offset = f"/checkpoints/{hashlib.sha256(content).hexdigest()}", 0
            while True:
                piece = content[offset : offset + sizes[offset % len(sizes)]]
                answer = add(client, offset, piece, len(content), where)
                if answer.status_code != 204:
                    break
                offset += len(piece)
            assert answer.status_code in (200, 201)
            assert client.get(where.replace("checkpoints", "blobs")).content == content

        check()


def test_a_piece_has_to_begin_where_the_last_ended(api: TestClient) -> None:
    add(api, 0, CONTENT[:1000])
    for offset in (0, 999, 1001, LENGTH):
        answer = add(api, offset, CONTENT[offset : offset + 10])
        problem(answer, 409, "offset-mismatch")
        assert answer.headers["upload-offset"] == "1000"
    assert so_far(api) == 1000
    content = problem(add(api, 1000, b"", 999), 422, "invalid-request")
    assert [fault["parameter"] for fault in content["errors"]] == ["Upload-Length"]
    assert add(api, 1000, CONTENT[1000:]).status_code == 201


def test_one_that_is_not_what_it_was_announced_as_goes(api: TestClient, services: Services) -> None:
    add(api, 0, CONTENT[:1000])
    problem(add(api, 1000, b"x" * (LENGTH - 1000)), 422, "hash-mismatch")
    assert so_far(api) == 0
    assert (partial_files(services), stored_files(services)) == ([], [])
    assert add(api, 0, CONTENT).status_code == 201


_FAULT, _TOO_LARGE = (422, "invalid-request"), (413, "body-too-large")


@pytest.mark.parametrize(
    ("offset", "length", "content", "refusal"),
    [
        (-1, LENGTH, b"x", _FAULT),
        (0, 0, b"x", _FAULT),
        (0, 10, b"", _FAULT),
        ("x", 10, b"x", _FAULT),
        (0, 10, b"x" * 11, _TOO_LARGE),
        (0, 5_000_001, b"x", _FAULT),
        (10**30, 10**30, b"x", _FAULT),
    ],
)
def test_places_that_make_no_sense(
    make_services: MakeServices, offset: int, length: int, content: bytes, refusal: tuple[int, str]
) -> None:
    services = make_services(upload_bytes=5_000_000)
    with called(services) as client:
        problem(add(client, offset, content, length), *refusal)
        assert (so_far(client), partial_files(services)) == (0, [])


def test_a_piece_says_where_it_belongs(api: TestClient) -> None:
    content = problem(api.patch(WHERE, content=b"x"), 422, "invalid-request")
    assert [fault["parameter"] for fault in content["errors"]] == ["Upload-Offset", "Upload-Length"]


def test_a_body_without_a_length_gives_what_there_was_room_for(api: TestClient) -> None:
    def too_much() -> Iterator[bytes]:
        yield from (CONTENT[:900], CONTENT[900:1100])

    answer = api.patch(WHERE, content=too_much(), headers={"Upload-Offset": "0", "Upload-Length": "1000"})
    problem(answer, 413, "body-too-large")
    assert so_far(api) in (0, 900)  # as the two pieces came in one, or in two
    offset = so_far(api)
    assert add(api, offset, CONTENT[offset:]).status_code == 201


def test_unfinished_files_are_their_owners(any_services: Services) -> None:
    with called(any_services, open_access=False) as client:
        blue, red = bearer(any_services, "blue"), bearer(any_services, "red")
        problem(add(client, 0, CONTENT[:10]), 401, "token-required")
        add(client, 0, CONTENT[:1000], **blue)
        assert (so_far(client, **blue), so_far(client, **red)) == (1000, 0)
        problem(add(client, 1000, CONTENT[1000:], **red), 409, "offset-mismatch")
        assert add(client, 0, CONTENT, **red).status_code == 201
        assert so_far(client, **blue) == 1000
        assert add(client, 1000, CONTENT[1000:], **blue).status_code == 201
        assert client.get(f"/blobs/{SHA256}", headers=blue).content == CONTENT
    assert len(stored_files(any_services)) == 1


def test_what_unfinished_files_announce_counts_against_the_stored_bytes(make_services: MakeServices) -> None:
    services = make_services(team_stored_bytes=1000)
    content = b"x" * 600
    one, two = (f"/checkpoints/{sha256}" for sha256 in (hashlib.sha256(content).hexdigest(), "2" * 64))
    with called(services) as client:
        problem(add(client, 0, b"x", 1001, one), 429, "storage-quota")
        assert add(client, 0, content[:1], 600, one).status_code == 204
        refused = problem(add(client, 0, b"x", 401, two), 429, "storage-quota")
        for words in ("0 bytes are stored", "(1) have announced 600", "401 more", "400 would not", f"DELETE {one}."):
            assert words in refused["detail"]
        assert (so_far(client, two), len(partial_files(services))) == (0, 1)
        assert add(client, 0, b"x", 400, two).status_code == 204
        problem(add(client, 1, b"x", 401, two), 429, "storage-quota")  # nor is more announced afterwards
        assert add(client, 1, content[1:], 600, one).status_code == 201, "who was let begin can end"
        assert add(client, 1, b"x", 400, two).status_code == 204
        problem(add(client, 2, b"x", 401, two), 429, "storage-quota")


def test_what_comes_whole_may_take_the_room_of_what_comes_in_pieces(make_services: MakeServices) -> None:
    contents = b"x" * 600, b"y" * 600
    one, other = (f"/checkpoints/{hashlib.sha256(content).hexdigest()}" for content in contents)
    with called(make_services(team_stored_bytes=1000)) as client:
        assert add(client, 0, b"x", 600, one).status_code == 204
        assert client.put(other, content=contents[1]).status_code == 201
        problem(add(client, 1, contents[0][1:], 600, one), 429, "storage-quota")
        assert so_far(client, one) == 1


def test_who_waits_for_his_turn_to_begin_leaves_threads_to_others(services: Services) -> None:
    """As while another process of this host looks at what is announced, and its database takes long."""
    where = [f"/checkpoints/{number:064x}" for number in range(20)]
    with listening(services) as address, ThreadPoolExecutor(20) as pool:

        def begin(place: str) -> int:
            with httpx.Client(base_url=address, timeout=30) as client:
                return add(client, 0, b"x", 10, place).status_code

        with services.partials.alone(""):
            begun = [pool.submit(begin, place) for place in where]
            time.sleep(1)
            with httpx.Client(base_url=address, timeout=5) as client:
                assert so_far(client) == 0
        assert [each.result() for each in begun] == [204] * 20


def test_of_files_that_begin_at_once_no_more_begin_than_have_room(make_services: MakeServices) -> None:
    """Each is as large as the quota; the first piece of each is nearly all of it."""
    services = make_services(team_stored_bytes=100_000)
    contents = [bytes([number]) * 100_000 for number in range(12)]
    where = [f"/checkpoints/{hashlib.sha256(content).hexdigest()}" for content in contents]
    with listening(services) as address:

        def begin(number: int) -> int:
            with httpx.Client(base_url=address) as client:
                return add(client, 0, contents[number][:99_000], 100_000, where[number]).status_code

        with ThreadPoolExecutor(12) as pool:
            statuses = list(pool.map(begin, range(12)))
        assert sorted(statuses) == [204] + [429] * 11
        assert sum(path.stat().st_size for path in services.partials.root.iterdir()) == 99_000
        begun_one = statuses.index(204)
        with httpx.Client(base_url=address) as client:
            rest = contents[begun_one][99_000:]
            assert add(client, 99_000, rest, 100_000, where[begun_one]).status_code == 201


def test_a_file_in_pieces_can_be_given_up(make_services: MakeServices) -> None:
    services = make_services(team_stored_bytes=LENGTH)
    with called(services, open_access=False) as client:
        blue, red = bearer(services, "blue"), bearer(services, "red")
        problem(client.delete(WHERE, headers=blue), 404, "checkpoint-not-found")
        assert add(client, 0, CONTENT[:1000], LENGTH, WHERE, **blue).status_code == 204
        problem(add(client, 0, b"x", 1, f"/checkpoints/{'1' * 64}", **blue), 429, "storage-quota")
        problem(client.delete(WHERE, headers=red), 404, "checkpoint-not-found")
        problem(client.delete(WHERE), 401, "token-required")
        assert so_far(client, **blue) == 1000
        answer = client.delete(WHERE, headers=blue)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (so_far(client, **blue), partial_files(services)) == (0, [])
        assert add(client, 0, CONTENT, LENGTH, WHERE, **blue).status_code == 201
        stored = problem(client.delete(WHERE, headers=blue), 404, "checkpoint-not-found")
        assert "DELETE /jobs/ID" in stored["detail"]
        assert client.get(WHERE, headers=blue).status_code == 200
        problem(client.delete("/checkpoints/x", headers=blue), 422, "invalid-request")


def test_a_file_whose_piece_is_coming_is_not_given_up(make_services: MakeServices) -> None:
    services = make_services(idle_seconds=60)
    with listening(services) as address:
        raw = begun(address, CONTENT[: LENGTH // 2])
        with httpx.Client(base_url=address) as client:
            until(lambda: so_far(client) > 0)
            problem(client.delete(WHERE), 429, "too-many-uploads")
        raw.send(CONTENT[LENGTH // 2 :])
        assert raw.answer()[0] == 201
        raw.close()


def test_a_length_that_cannot_be_leaves_what_was_announced(make_services: MakeServices) -> None:
    services = make_services(team_stored_bytes=1000)
    with called(services) as client:
        assert add(client, 0, b"x" * 600, 1000).status_code == 204
        problem(add(client, 600, b"x", 599), 422, "invalid-request")
        problem(add(client, 1, b"x", 700), 409, "offset-mismatch")
        assert services.partials.unfinished("") == {SHA256: (600, 1000)}
        assert add(client, 600, b"x", 700).status_code == 204
        assert services.partials.unfinished("") == {SHA256: (601, 700)}


def test_nobody_has_too_many(api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_MOST", 3)
    places = [f"/checkpoints/{number:064x}" for number in range(4)]
    for where in places[:3]:
        assert add(api, 0, b"x", 10, where).status_code == 204
    problem(add(api, 0, b"x", 10, places[3]), 429, "too-many-uploads")
    assert add(api, 1, b"x", 10, places[0]).status_code == 204
    for path in services.partials.root.iterdir():
        os.utime(path, (0, 0))
    assert add(api, 0, b"x", 10, places[3]).status_code == 204  # the others were swept
    assert [so_far(api, where) for where in places] == [0, 0, 0, 1]


def test_a_file_there_is_no_room_for_twice_is_not_begun(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(min_free_bytes=1000)
    room = {DirectoryBlobs: 2 * LENGTH + 999, Partials: LENGTH + 1000}
    for place in room:
        monkeypatch.setattr(place, "free_bytes", lambda self: room[type(self)])
    with called(services) as client:
        problem(add(client, 0, CONTENT), 507, "storage-full")
        room.update({DirectoryBlobs: 2 * LENGTH + 1000, Partials: LENGTH + 999})
        problem(add(client, 0, CONTENT), 507, "storage-full")
        assert partial_files(services) == []
        room[Partials] += 1
        assert add(client, 0, CONTENT).status_code == 201


def test_a_disk_that_fills_up_keeps_what_it_took(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Partial.append

    def full(self: Partial, data: bytes) -> None:
        if self.size:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, data)

    def pieces_of_it() -> Iterator[bytes]:
        yield from (CONTENT[place : place + (1 << 20)] for place in range(0, LENGTH, 1 << 20))

    with monkeypatch.context() as patch:
        patch.setattr(Partial, "append", full)
        headers = {"Upload-Offset": "0", "Upload-Length": str(LENGTH), "Content-Length": str(LENGTH)}
        problem(api.patch(WHERE, content=pieces_of_it(), headers=headers), 507, "storage-full")
    offset = so_far(api)
    assert offset >= 1 << 20
    assert add(api, offset, CONTENT[offset:]).status_code == 201


def test_what_has_come_survives_a_store_that_cannot_take_it(
    api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("the database is away.")

    with monkeypatch.context() as patch:
        patch.setattr(type(services.records.blobs), "add", away)
        problem(add(api, 0, CONTENT), 503, "unavailable")
    assert so_far(api) == LENGTH
    assert add(api, LENGTH, b"").status_code == 201
    assert api.get(f"/blobs/{SHA256}").content == CONTENT
    assert partial_files(services) == []


def begun(url: str, sent: bytes) -> Raw:
    raw = Raw(url)
    raw.begin("PATCH", WHERE, Upload_Offset="0", Upload_Length=str(LENGTH), Content_Length=str(LENGTH))
    raw.send(sent)
    return raw


@pytest.mark.parametrize("ending", ["closed", "silent"])
def test_what_came_before_a_connection_broke_stays(make_services: MakeServices, ending: str) -> None:
    with listening(make_services(idle_seconds=1)) as address, httpx.Client(base_url=address) as client:
        raw = begun(address, CONTENT[: LENGTH // 2])
        if ending == "closed":
            time.sleep(0.2)
            raw.close()
        else:
            assert raw.answer()[0] == 408
        until(lambda: so_far(client) == LENGTH // 2)
        until(lambda: add(client, LENGTH // 2, CONTENT[LENGTH // 2 :]).status_code == 201)
        assert client.get(f"/blobs/{SHA256}").content == CONTENT
        raw.close()


def test_of_two_at_once_one_wins(make_services: MakeServices) -> None:
    services = make_services(idle_seconds=60)
    with listening(services) as address:
        raw = begun(address, CONTENT[: LENGTH // 2])
        with httpx.Client(base_url=address) as client:
            until(lambda: so_far(client) > 0)
            refused = add(client, so_far(client), b"x" * 10)
            problem(refused, 429, "too-many-uploads")
            assert refused.headers["retry-after"] == "1"
            raw.send(CONTENT[LENGTH // 2 :])
            assert raw.answer()[0] == 201
            assert client.get(f"/blobs/{SHA256}").content == CONTENT
        raw.close()
