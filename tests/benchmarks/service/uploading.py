"""Upload of a large file, by PUT and by form, against `cp` and `sha256sum` of the same file on the same disk."""

import hashlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.benchmarks.service.clients import FORM_TYPE, form_around_file
from tests.benchmarks.service.figures import Figure
from tests.benchmarks.service.processes import forget_peak, peak_bytes, resident_bytes
from tests.benchmarks.service.servers import embedded
from tests.trips.deployment import Deployment

SIZE = 10**9
BOUND_RATIO, BOUND_GROWTH = 2.0, 64 << 20
_CHUNK = 1 << 24
Upload = tuple[float, int, int]
"""Seconds, bytes resident before, and at most."""
_SETTINGS = '{"evaluate": false}'


def uploading(directory: Path, size: int = SIZE, times: int = 3) -> Iterator[Figure]:
    """In turns; every upload goes to a server that has not seen the file, and whose worker does not run."""
    file, sha256 = _random_file(directory / "large", size)
    copies: list[tuple[float, float, float]] = []
    uploads: dict[str, list[Upload]] = {way: [] for way in _WAYS}
    for turn in range(times):
        copies.append(_copied(file, directory / "copy"))
        for way in _WAYS:
            with embedded(directory / "uploading" / f"{turn}-{way.split()[0]}") as deployment:
                deployment.start_api()
                uploads[way].append(_uploaded(deployment, _WAYS[way], file, sha256))
                _empty(deployment.home / "blobs")
    copy, sync, hashing = (median(column) for column in zip(*copies, strict=True))
    yield Figure(f"{size / 1e9:g} GB: cp, fsync of the copy, sha256sum", f"{copy:.2f} s, {sync:.2f} s, {hashing:.2f} s")
    for way, seen in uploads.items():
        yield from _figures(way, seen, copy + hashing, sync)


def _random_file(path: Path, size: int) -> tuple[Path, str]:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _CHUNK):
            chunk = os.urandom(min(_CHUNK, size - start))
            digest.update(chunk)
            file.write(chunk)
        os.fsync(file.fileno())
    return path, digest.hexdigest()


def _copied(file: Path, copy: Path) -> tuple[float, float, float]:
    """Seconds of cp, of fsync after it, of sha256sum."""
    times = []
    for command in (["cp", str(file), str(copy)], ["sync", str(copy)], ["sha256sum", str(copy)]):
        started = perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(perf_counter() - started)
    copy.unlink()
    return times[0], times[1], times[2]


def _uploaded(
    deployment: Deployment, send: Callable[[socket.socket, Path, str], bytes], file: Path, sha256: str
) -> Upload:
    api = deployment.processes["api"].pid
    before = resident_bytes(api)
    forget_peak(api)
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=600) as connection:
        started = perf_counter()
        status = send(connection, file, sha256)
        seconds = perf_counter() - started
    assert status.startswith((b"HTTP/1.1 201", b"HTTP/1.1 202")), status
    return seconds, before, peak_bytes(api)


def _put(connection: socket.socket, file: Path, sha256: str) -> bytes:
    return _sent(connection, f"PUT /checkpoints/{sha256}", "application/octet-stream", file, (b"", b""))


def _post(connection: socket.socket, file: Path, _: str) -> bytes:
    return _sent(connection, "POST /score", FORM_TYPE, file, form_around_file(_SETTINGS))


def _sent(connection: socket.socket, line: str, media_type: str, file: Path, around: tuple[bytes, bytes]) -> bytes:
    """The beginning of the answer. The kernel sends the file: the client takes next to no time of its own."""
    head, tail = around
    length = len(head) + file.stat().st_size + len(tail)
    lines = (f"{line} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {media_type}", f"Content-Length: {length}")
    connection.sendall("\r\n".join((*lines, "", "")).encode() + head)
    with file.open("rb") as source:
        connection.sendfile(source)
    connection.sendall(tail)
    return connection.recv(4096)


_WAYS: Mapping[str, Callable[[socket.socket, Path, str], bytes]] = {
    "PUT /checkpoints/{sha256}": _put,
    "POST /score as a form": _post,
}


def _empty(blobs: Path) -> None:
    for path in blobs.glob("??/*"):
        path.unlink()


def _figures(way: str, seen: list[Upload], peer: float, sync: float) -> Iterator[Figure]:
    seconds = median(upload[0] for upload in seen)
    ratio = seconds / peer
    yield Figure(
        f"upload by {way}, fsync included",
        f"{seconds:.2f} s: {ratio:.2f} times cp + sha256sum, {seconds / (peer + sync):.2f} times with fsync",
        f"{BOUND_RATIO:g} times cp + sha256sum",
        ratio <= BOUND_RATIO,
    )
    growth, peak = max(upload[2] - upload[1] for upload in seen), max(upload[2] for upload in seen)
    yield Figure(
        f"memory of the API, {way}",
        f"grew by {growth / 2**20:.1f} MiB to {peak / 2**20:.0f} MiB",
        "64 MiB more",
        growth < BOUND_GROWTH,
    )
