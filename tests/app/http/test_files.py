"""Files: sent ahead, looked for, fetched whole and in parts."""

import hashlib

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.http.errors import RangeNotSatisfiable
from app.http.files import Span, wanted_span
from app.services import Services
from tests.app.http.conftest import MakeServices, called, stored_files
from tests.app.http.sending import accepted, problem
from worker.records.tables import blobs

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHERE = f"/checkpoints/{SHA256}"


def test_a_checkpoint_is_stored_once(any_api: TestClient, any_services: Services) -> None:
    problem(any_api.get(WHERE), 404, "checkpoint-not-found")
    assert any_api.head(WHERE).status_code == 404
    first, second = (any_api.put(WHERE, content=CONTENT) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["location"] == WHERE
    assert first.json() == second.json() == any_api.get(WHERE).json() == {"sha256": SHA256, "size": len(CONTENT)}
    found = any_api.head(WHERE)
    assert (found.status_code, found.content) == (200, b"")
    assert [path.read_bytes() for path in stored_files(any_services)] == [CONTENT]


def test_a_checkpoint_sent_again_is_kept_as_if_it_had_just_come(any_api: TestClient, any_services: Services) -> None:
    any_api.put(WHERE, content=CONTENT)
    records = any_services.records
    records.database.write(lambda connection: connection.execute(update(blobs).values(used_at="2019-01-01")))
    assert any_api.put(WHERE, content=CONTENT).status_code == 200
    assert records.blobs.forget_unneeded(days=1, total_bytes=1 << 40) == ()


def test_a_file_that_was_lost_can_be_sent_again(any_api: TestClient, any_services: Services) -> None:
    def lost() -> None:
        (path,) = stored_files(any_services)
        path.unlink()
        assert any_api.get(f"/blobs/{SHA256}").status_code == 410

    assert any_api.put(WHERE, content=CONTENT).status_code == 201
    lost()
    assert any_api.put(WHERE, content=CONTENT).status_code == 201
    assert any_api.get(f"/blobs/{SHA256}").content == CONTENT
    lost()
    accepted(any_api, {}, CONTENT)
    assert any_api.get(f"/blobs/{SHA256}").content == CONTENT
    assert len(stored_files(any_services)) == 1


def test_a_body_with_another_hash_does_not_stay(api: TestClient, services: Services) -> None:
    problem(api.put(WHERE, content=CONTENT[1:]), 422, "hash-mismatch")
    assert stored_files(services) == []
    problem(api.get(WHERE), 404, "checkpoint-not-found")


def test_an_empty_file_is_no_checkpoint(api: TestClient) -> None:
    problem(api.put(f"/checkpoints/{hashlib.sha256().hexdigest()}", content=b""), 422, "invalid-request")


@pytest.mark.parametrize("sha256", ["0" * 63, "A" * 64, "x", "0" * 1000])
def test_addresses_are_hashes(api: TestClient, sha256: str) -> None:
    for where in (f"/checkpoints/{sha256}", f"/blobs/{sha256}"):
        problem(api.get(where), 422, "invalid-request")


def test_stored_bytes_are_counted_for_checkpoints_too(make_services: MakeServices) -> None:
    services = make_services(team_stored_bytes=100)
    with called(services) as client:
        problem(client.put(WHERE, content=CONTENT), 429, "storage-quota")
    assert stored_files(services) == []


def test_a_file_comes_back_as_it_went(any_api: TestClient) -> None:
    any_api.put(WHERE, content=CONTENT)
    answer = any_api.get(f"/blobs/{SHA256}?filename=a%22b%0D%0Ac.onnx")
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''a%22bc.onnx"
    assert answer.headers["etag"] == f'"{SHA256}"'
    again = any_api.get(f"/blobs/{SHA256}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = any_api.get(f"/blobs/{SHA256}?filename=../../net.onnx")
    assert plain.headers["content-disposition"] == 'attachment; filename="net.onnx"'


@pytest.mark.parametrize(
    ("asked", "first", "end"), [("0-9", 0, 10), ("10-", 10, None), ("-7", -7, None), ("5-99999999", 5, None)]
)
def test_parts_of_a_file(api: TestClient, asked: str, first: int, end: int | None) -> None:
    api.put(WHERE, content=CONTENT)
    answer = api.get(f"/blobs/{SHA256}", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.content == CONTENT[first:end]
    start, _, total = answer.headers["content-range"].removeprefix("bytes ").partition("/")
    assert int(total) == len(CONTENT)
    assert CONTENT[int(start.split("-")[0]) : int(start.split("-")[1]) + 1] == answer.content


def test_ranges_of_another_version_get_the_whole(api: TestClient) -> None:
    api.put(WHERE, content=CONTENT)
    headers = {"Range": "bytes=0-9", "If-Range": '"other"'}
    assert api.get(f"/blobs/{SHA256}", headers=headers).status_code == 200
    answer = api.get(f"/blobs/{SHA256}", headers={"Range": f"bytes={len(CONTENT)}-"})
    problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=-", None),
        ("bytes=5-3", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 30 + "-", None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=-100", Span(0, 10)),
        ("bytes=9-9", Span(9, 10)),
    ],
)
def test_what_a_range_asks_for(header: str | None, span: Span | None) -> None:
    assert wanted_span(header, 10) == span


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_ranges_outside_of_the_file(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        wanted_span(header, 10)


def test_a_swept_file_is_gone_and_an_unknown_one_was_never_there(any_api: TestClient, any_services: Services) -> None:
    job = accepted(any_api, content=CONTENT)
    any_api.post(job["urls"]["cancel"])
    for blob in any_services.records.blobs.forget_unneeded(30, 0):
        any_services.blobs.delete(blob.location)
    problem(any_api.get(f"/blobs/{SHA256}"), 410, "blob-gone")
    problem(any_api.get(f"/blobs/{'0' * 64}"), 404, "blob-not-found")
    problem(any_api.get(WHERE), 404, "checkpoint-not-found")
    assert any_api.put(WHERE, content=CONTENT).status_code == 201
    assert any_api.get(f"/blobs/{SHA256}").content == CONTENT


def test_a_file_that_vanishes_under_its_record_is_gone(api: TestClient, services: Services) -> None:
    api.put(WHERE, content=CONTENT)
    for path in stored_files(services):
        path.unlink()
    problem(api.get(f"/blobs/{SHA256}"), 410, "blob-gone")
