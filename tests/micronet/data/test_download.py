"""Downloads against a server of our own: what arrives whole is unpacked, anything else leaves nothing behind."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from micronet.data.archives import ARCHIVES, Archive
from micronet.data.download import download, fetch
from micronet.errors import DatasetCorrupt, DatasetMissing

MEMBERS = {"test": b"test images", "train": b"training images"}


class _Server(ThreadingHTTPServer):
    """Answers every GET with `body`, announced as `length` bytes."""

    body = b""
    length: int | None = None
    requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requests += 1
        found = self.path == "/files/made.tar.gz"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(self.server.length or len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in entries:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _entry(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, content


def _archive(body: bytes) -> Archive:
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in MEMBERS.items()}
    return Archive("made.tar.gz", len(body), hashlib.md5(body).hexdigest(), "made", md5)


def _base(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/files/"


GOOD = _tar([_entry(f"made/{name}", content) for name, content in MEMBERS.items()])


def test_what_arrives_whole_is_unpacked(server: _Server, tmp_path: Path) -> None:
    server.body = GOOD
    seen: list[tuple[int, int]] = []
    folder = fetch(_archive(GOOD), tmp_path / "new", lambda *step: seen.append(step), _base(server))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == MEMBERS
    assert seen[-1] == (len(GOOD), len(GOOD))
    assert list((tmp_path / "new").iterdir()) == [folder]


def test_what_is_there_is_not_fetched_again(server: _Server, tmp_path: Path) -> None:
    server.body = GOOD
    for _ in range(2):
        fetch(_archive(GOOD), tmp_path, base_url=_base(server))
    assert server.requests == 1
    (tmp_path / "made" / "test").unlink()
    fetch(_archive(GOOD), tmp_path, base_url=_base(server))
    assert (tmp_path / "made" / "test").read_bytes() == MEMBERS["test"]


def _fails(server: _Server, archive: Archive, data_dir: Path, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        fetch(archive, data_dir, base_url=_base(server))
    assert list(data_dir.rglob("*")) == []


def test_a_wrong_checksum_leaves_nothing(server: _Server, tmp_path: Path) -> None:
    server.body = GOOD[:-1] + b"\x01"
    _fails(server, _archive(GOOD), tmp_path, DatasetCorrupt, "not the published archive: its MD5 is")


def test_a_transfer_that_breaks_off_leaves_nothing(server: _Server, tmp_path: Path) -> None:
    server.body, server.length = GOOD[:50], len(GOOD)
    _fails(server, _archive(GOOD), tmp_path, DatasetMissing, r"could not be fetched .*unpack it in")


def test_a_short_file_leaves_nothing(server: _Server, tmp_path: Path) -> None:
    server.body = GOOD[:50]
    _fails(server, _archive(GOOD), tmp_path, DatasetCorrupt, f"ended after 50 of {len(GOOD)} bytes")


def test_an_endless_file_is_not_waited_for(server: _Server, tmp_path: Path) -> None:
    server.body = GOOD + b"more"
    _fails(server, _archive(GOOD), tmp_path, DatasetCorrupt, "is longer than")


def test_a_file_that_is_not_there_leaves_nothing(server: _Server, tmp_path: Path) -> None:
    _fails(server, replace(_archive(GOOD), filename="other.tar.gz"), tmp_path, DatasetMissing, "404")


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([_entry("made/../../escaped", b"x")], "has no file made/test, made/train"),
        ([_entry("/made/test", b"x")], "has no file"),
        ([_entry("made/test", kind=tarfile.SYMTYPE, link="/etc/passwd")], "has no file"),
        ([_entry("made/test", kind=tarfile.LNKTYPE, link="../../secret")], "has no file"),
        ([_entry("made", kind=tarfile.SYMTYPE, link=".."), _entry("made/test", b"x")], "has no file made/train"),
    ],
)
def test_members_that_leave_the_folder_are_not_unpacked(
    server: _Server, tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], complaint: str
) -> None:
    server.body = _tar(entries)
    data_dir = tmp_path / "deep" / "data"
    data_dir.mkdir(parents=True)
    _fails(server, _archive(server.body), data_dir, DatasetCorrupt, complaint)
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "data"]


def test_only_the_expected_members_are_kept(server: _Server, tmp_path: Path) -> None:
    extra = [_entry("../escaped", b"x"), _entry("made/more", b"x"), _entry("made/sub/test", b"x")]
    server.body = _tar([*extra, *(_entry(f"made/{name}", content) for name, content in MEMBERS.items())])
    folder = fetch(_archive(server.body), tmp_path / "data", base_url=_base(server))
    assert sorted(path.name for path in folder.iterdir()) == sorted(MEMBERS)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "made", *sorted(MEMBERS)]


def test_what_is_no_archive_is_named(server: _Server, tmp_path: Path) -> None:
    server.body = b"<html>Please log in</html>"
    _fails(server, _archive(server.body), tmp_path, DatasetCorrupt, "not a readable archive")


def test_without_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(DatasetMissing, match=r"MD5 eb9058c3a382ffc7106e4002c42a8d85.*cifar-100-python/train is there"):
        download("cifar100", tmp_path, base_url="http://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_without_an_archive_says_which_have_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="only cifar100 and cifar10"):
        download("imagenet", tmp_path)


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetMissing, match="could not be fetched"):
        fetch(ARCHIVES["cifar100"], tmp_path / "file", base_url="http://127.0.0.1:1")
