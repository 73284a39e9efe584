"""A file on its way to the server: a small one whole, a large one in pieces that go on where the server says."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import httpx

from app.client.connection import Connection
from app.client.errors import Later, ServerError
from app.client.reading import checked, no_micronet

PIECE = 16 << 20
"""Bytes of the largest file that is sent whole, and of a piece of others."""
_CHUNK = 1 << 16
_BYTES = {"Content-Type": "application/octet-stream"}
_OFFSET, _LENGTH = "Upload-Offset", "Upload-Length"

Progress = Callable[[int, int], None]
"""Is told how many bytes were sent, of how many. After a connection that broke, that may be fewer than before."""


def upload(connection: Connection, path: Path, progress: Progress) -> str:
    """Send a file, unless it is there already; its SHA-256. Raises OSError, ServerError."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
        sending = _Sending(connection, file, size, f"/checkpoints/{sha256}", progress)
        if size > PIECE:
            sending.in_pieces()
        else:
            sending.whole()
    progress(size, size)
    return sha256


class _Sending:
    def __init__(self, connection: Connection, file: BinaryIO, size: int, where: str, progress: Progress) -> None:
        self._connection, self._file, self._size = connection, file, size
        self._where, self._progress = where, progress

    def whole(self) -> None:
        self._file.seek(0)
        content = self._file.read(self._size)
        self._connection.answer("PUT", self._where, content=content, headers=_BYTES)

    def in_pieces(self) -> None:
        """Until the server has it. What it says is here is believed, and its hash tells if that was right."""
        patience, anew = self._connection.patience(), False
        offset: int | None = None
        while True:
            try:
                if offset is None:
                    offset = self._look()
                answer = self._send(offset)
                if answer.status_code not in (httpx.codes.NO_CONTENT, httpx.codes.CONFLICT):
                    return
                offset = self._told(answer)
                if answer.status_code == httpx.codes.NO_CONTENT:
                    patience.forward()
                else:
                    patience.wait(_elsewhere(offset))
            except Later as error:
                patience.wait(error)
                offset = None
            except ServerError as error:
                if error.code != "hash-mismatch" or anew:
                    raise
                anew, offset = True, None  # what was there may have suffered with its host: once more, from the start

    def _look(self) -> int:
        """How much of it is there; all of it where it is no upload any more."""
        answer = self._connection.once("HEAD", self._where)
        if answer.status_code == httpx.codes.NOT_FOUND and _OFFSET in answer.headers:
            return self._told(answer)
        try:
            checked(answer)
        except Later:
            raise
        except ServerError:
            checked(self._connection.once("GET", self._where))  # which says why
        return self._size

    def _told(self, answer: httpx.Response) -> int:
        """How much of it is there, as an answer says. Raises ServerError where it does not."""
        told = answer.headers.get(_OFFSET, "")
        if not (re.fullmatch(r"[0-9]{1,19}", told) and int(told) <= self._size):
            said = f"{answer.status_code}, and {_OFFSET} {told!r} where a number up to {self._size} is needed"
            raise no_micronet(answer, said)
        return int(told)

    def _send(self, offset: int) -> httpx.Response:
        """Send the piece that begins at `offset`; the answer, also where the piece does not belong there (409)."""
        end = min(offset + PIECE, self._size)
        headers = {**_BYTES, _OFFSET: str(offset), _LENGTH: str(self._size), "Content-Length": str(end - offset)}
        answer = self._connection.once("PATCH", self._where, content=self._piece(offset, end), headers=headers)
        return answer if answer.status_code == httpx.codes.CONFLICT else checked(answer)

    def _piece(self, offset: int, end: int) -> Iterator[bytes]:
        self._file.seek(offset)
        while offset < end:
            self._progress(offset, self._size)
            chunk = self._file.read(min(_CHUNK, end - offset))
            if not chunk:
                raise OSError(f"{self._file.name} became shorter while it was sent")
            yield chunk
            offset += len(chunk)


def _elsewhere(offset: int) -> ServerError:
    detail = f"the server goes back and forth; it has {offset:,} bytes now. Do several hosts answer at this address?"
    return ServerError(detail, code="offset-mismatch", title="The piece belongs elsewhere", yours=False)
