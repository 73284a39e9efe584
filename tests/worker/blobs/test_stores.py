"""Laws of every store: what is kept is read back, what is not is gone, a sweep takes only what is nobody's."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest

from micronet.errors import SettingsError
from tests.trips.services import S3Server
from worker.blobs import Blobs, open_blobs, s3
from worker.blobs.directory import DirectoryBlobs
from worker.blobs.memory import MemoryBlobs
from worker.blobs.port import copy_checked, new_location
from worker.blobs.s3 import S3Blobs
from worker.errors import BlobCorrupt
from worker.records.values import StoredBlob


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["directory", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    if request.param == "directory":
        return DirectoryBlobs(tmp_path / "blobs")
    if request.param == "memory":
        return MemoryBlobs()
    server: S3Server = request.getfixturevalue("s3_server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=server.bucket)
    return open_blobs(server.url, tmp_path)


def keep(blobs: Blobs, content: bytes) -> StoredBlob:
    with blobs.create() as incoming:
        incoming.write(content)
        return incoming.keep()


def test_what_is_kept_is_read_back_with_its_hash(blobs: Blobs, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    with blobs.create() as incoming:
        incoming.write(content[:100_000])
        incoming.write(memoryview(content)[100_000:])
        blob = incoming.keep()
    assert (blob.sha256, blob.size) == (hashlib.sha256(content).hexdigest(), len(content))
    with blobs.open(blob.location) as source:
        copy_checked(source, blob, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


def test_an_empty_file_is_a_file(blobs: Blobs) -> None:
    with blobs.create() as incoming:
        blob = incoming.keep()
    with blobs.open(blob.location) as source:
        assert source.read() == b""


def test_the_same_content_gets_another_location(blobs: Blobs) -> None:
    first, second = keep(blobs, b"same"), keep(blobs, b"same")
    assert first.sha256 == second.sha256
    assert first.location != second.location
    blobs.delete(first.location)
    with blobs.open(second.location) as source:
        assert source.read() == b"same"


def test_a_file_whose_upload_breaks_is_gone(blobs: Blobs) -> None:
    kept = []

    def upload() -> None:
        with blobs.create() as incoming:
            incoming.write(b"half")
            kept.append(incoming.keep())
            raise RuntimeError("the record could not be written")

    with pytest.raises(RuntimeError):
        upload()
    with pytest.raises(FileNotFoundError):
        blobs.open(kept[0].location)


def test_what_was_deleted_is_not_found_and_deleting_again_is_nothing(blobs: Blobs) -> None:
    blob = keep(blobs, b"x")
    blobs.delete(blob.location)
    blobs.delete(blob.location)
    with pytest.raises(FileNotFoundError):
        blobs.open(blob.location)


def test_a_damaged_file_is_noticed(blobs: Blobs, tmp_path: Path) -> None:
    blob = keep(blobs, b"as it was")
    wrong = StoredBlob(hashlib.sha256(b"as it should be").hexdigest(), blob.size, blob.location)
    with blobs.open(blob.location) as source, pytest.raises(BlobCorrupt):
        copy_checked(source, wrong, tmp_path / "copy")


def test_a_store_says_whether_it_works(blobs: Blobs) -> None:
    blobs.check()
    assert blobs.sweep(lambda location: False) == 0


def test_who_asks_a_directory_leaves_nothing_of_his_in_it(tmp_path: Path) -> None:
    DirectoryBlobs(tmp_path).check()
    assert list(tmp_path.iterdir()) == []


def grow_old(path: Path) -> None:
    os.utime(path, (0, 0))


def test_a_sweep_takes_what_nobody_knows_and_leaves_the_rest(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    known, unknown = keep(blobs, b"known"), keep(blobs, b"unknown")
    assert blobs.sweep(lambda location: location == known.location) == 0
    for blob in (known, unknown):
        grow_old(tmp_path / blob.location)
    with blobs.create() as incoming:
        incoming.write(b"on its way")
        assert blobs.sweep(lambda location: location == known.location) == 1
        being_written = incoming.keep()
        assert blobs.sweep(lambda location: location in (known.location, being_written.location)) == 0
    for blob, there in ((known, True), (unknown, False), (being_written, True)):
        assert (tmp_path / blob.location).exists() == there


def test_a_sweep_leaves_what_others_may_know_its_day(tmp_path: Path) -> None:
    """As a staging server does, on a copy of the records and the very store of the original."""
    blobs = DirectoryBlobs(tmp_path)
    path = tmp_path / keep(blobs, b"recorded by the original since").location
    grow_old(path)
    for _ in range(2):
        assert blobs.sweep(lambda location: False) == 0
        assert path.exists()
    grow_old(path)
    assert blobs.sweep(lambda location: False) == 1


def test_a_sweep_leaves_files_of_others_that_it_may_not_read_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker of another user marks its own."""
    blobs = DirectoryBlobs(tmp_path)
    paths = [tmp_path / keep(blobs, b"unknown").location for _ in range(3)]
    assert blobs.sweep(lambda location: False) == 0
    for path in paths:
        grow_old(path)
    really = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == paths[1]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)  # root may read everything
    assert blobs.sweep(lambda location: False) == 2
    assert [path.exists() for path in paths] == [False, True, False]


def test_a_sweep_leaves_an_object_its_day_however_old_it_is(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1").create_bucket(Bucket="days")
    blobs = open_blobs(s3_server.url.replace(f"s3://{s3_server.bucket}", "s3://days"), tmp_path)
    kept = keep(blobs, b"recorded by the original since")
    monkeypatch.setattr(s3, "ABANDONED_AFTER", timedelta(days=-1))  # as if it were old
    assert blobs.sweep(lambda location: True) == 0
    assert blobs.sweep(lambda location: False) == 0
    with blobs.open(kept.location) as source:
        assert source.read() == b"recorded by the original since"
    monkeypatch.setattr(s3, "ABANDONED_AFTER", timedelta(days=1))
    assert blobs.sweep(lambda location: False) == 0, "it is new by its mark"
    monkeypatch.setattr(s3, "ABANDONED_AFTER", timedelta(days=-1))
    assert blobs.sweep(lambda location: False) == 1
    with pytest.raises(FileNotFoundError):
        blobs.open(kept.location)


def test_a_sweep_touches_nothing_that_is_no_blob(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(s3, "ABANDONED_AFTER", timedelta(days=-1))
    client = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="shared")
    client.put_object(Bucket="shared", Key="de/report.pdf", Body=b"somebody else's")
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "report.pdf").write_bytes(b"somebody else's")
    url = s3_server.url.replace(f"s3://{s3_server.bucket}", "s3://shared")
    for blobs in (DirectoryBlobs(tmp_path), open_blobs(url, tmp_path / "scratch")):
        forgotten = keep(blobs, b"forgotten")
        assert blobs.sweep(lambda location: False) == 0
        if isinstance(blobs, DirectoryBlobs):
            grow_old(tmp_path / forgotten.location)
        assert blobs.sweep(lambda location: False) == 1
        with pytest.raises(FileNotFoundError):
            blobs.open(forgotten.location)
    assert (tmp_path / "de" / "report.pdf").exists()
    assert client.list_objects_v2(Bucket="shared")["KeyCount"] == 1


def test_a_store_says_whose_it_is(blobs: Blobs) -> None:
    keep(blobs, b"a file")
    assert blobs.identity() is None
    for identity in ("one", "the other"):
        blobs.claim(identity)
        assert blobs.identity() == identity
    assert blobs.sweep(lambda location: True) == 0
    assert blobs.identity() == "the other"


def test_parts_of_an_object_whose_sender_was_killed_are_swept(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="parts")
    blobs = open_blobs(s3_server.url.replace(f"s3://{s3_server.bucket}", "s3://parts"), tmp_path)
    assert isinstance(blobs, S3Blobs)
    ours, others = blobs.key(new_location()), "de/report.pdf"
    for key in (ours, others):
        upload = client.create_multipart_upload(Bucket="parts", Key=key)["UploadId"]
        client.upload_part(Bucket="parts", Key=key, UploadId=upload, PartNumber=1, Body=b"half")
    for days, swept in ((1e5, 0), (-1, 1)):  # the server in the test gives all uploads one date, long ago
        monkeypatch.setattr(s3, "ABANDONED_AFTER", timedelta(days=days))
        assert blobs.sweep(lambda location: False) == swept
    assert [upload["Key"] for upload in client.list_multipart_uploads(Bucket="parts")["Uploads"]] == [others]


def test_a_file_whose_writer_was_killed_is_swept(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from worker.blobs.directory import DirectoryBlobs
        incoming = DirectoryBlobs(Path({str(tmp_path)!r})).create()
        incoming.write(b"half")
        print("written", flush=True)
        input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        blobs = DirectoryBlobs(tmp_path)
        assert blobs.sweep(lambda location: False) == 0
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert blobs.sweep(lambda location: False) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_waited_for_a_store_elsewhere_and_whose_writer_was_killed_is_swept_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    blobs = S3Blobs("s3://bucket?endpoint_url=http://127.0.0.1:1&region=us-east-1", tmp_path)
    abandoned = tmp_path / new_location()
    with blobs.create() as incoming:
        incoming.write(b"on its way")
        abandoned.parent.mkdir(exist_ok=True)
        abandoned.write_bytes(b"half")
        assert blobs.sweep_spool() == 1
        (living,) = (path for path in tmp_path.rglob("*") if path.is_file())
        assert living.read_bytes() == b"on its way"
    assert blobs.sweep_spool() == 0


def test_what_is_in_a_store_waits_for_none(blobs: Blobs) -> None:
    blob = keep(blobs, b"kept")
    assert blobs.sweep_spool() == 0
    with blobs.open(blob.location) as source:
        assert source.read() == b"kept"


def test_an_s3_store_that_is_away_is_an_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    blobs = S3Blobs("s3://bucket?endpoint_url=http://127.0.0.1:1&region=us-east-1", tmp_path)
    with pytest.raises(OSError, match="blob store"):
        keep(blobs, b"x")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_s3_store_that_cannot_start_a_thread_is_an_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    blobs = S3Blobs("s3://bucket?endpoint_url=http://127.0.0.1:1&region=us-east-1", tmp_path)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        keep(blobs, b"x")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class _BreaksOff(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"half of it")

    def log_message(self, format: str, *arguments: object) -> None: ...


def test_an_s3_store_that_breaks_off_in_mid_file_is_an_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with HTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        blobs = S3Blobs(f"s3://bucket?endpoint_url=http://127.0.0.1:{server.server_port}&region=us-east-1", tmp_path)
        with blobs.open("ab/cdef") as source, pytest.raises(OSError, match="breaks off"):
            copy_checked(source, StoredBlob("0" * 64, 100, "ab/cdef"), tmp_path / "copy")
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://AKIAKEY:s3cret@bucket/x?secure=no", "without secure and user:password@"),
        ("s3://bucket/x?password=s3cret", "is needed, without password$"),
    ],
)
def test_what_a_url_may_not_have_is_named_and_what_is_secret_is_not(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        open_blobs(url, tmp_path)
    assert "s3cret" not in str(refused.value)
    assert "AKIAKEY" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://?endpoint_url=x", "s3://bucket/x?surprise=1"])
def test_other_urls_are_refused_with_what_would_do(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="s3://bucket/prefix"):
        open_blobs(url, tmp_path)
