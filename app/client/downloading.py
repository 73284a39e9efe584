"""A file on its way from the server: after a lost connection it goes on, and in the end it is what the job made."""

import hashlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import httpx

from app.client.connection import Connection
from app.client.errors import Damaged, Later


def download(connection: Connection, artifact: Mapping[str, Any], destination: BinaryIO) -> None:
    """Write a file to `destination`, from where that stands. Raises OSError, ServerError, also if it came damaged."""
    patience, begin, size = connection.patience(), destination.tell(), artifact["size"]
    done, digest = 0, hashlib.sha256()
    while True:
        try:
            given = {"Range": f"bytes={done}-"} if done else {}
            with connection.stream(artifact["url"], headers=given) as answer:
                if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                    destination.seek(begin)
                    destination.truncate()
                    done, digest = 0, hashlib.sha256()
                for chunk in answer.iter_bytes():
                    destination.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    patience.forward()
            break
        except Later as error:
            if done == size:
                break
            patience.wait(error)
    if (done, digest.hexdigest()) != (size, artifact["sha256"]):
        raise _damaged(artifact, done, digest.hexdigest())


def _damaged(artifact: Mapping[str, Any], size: int, sha256: str) -> Damaged:
    detail = (
        f"{artifact['name']}: {size:,} bytes with sha256 {sha256} came, and the job made {artifact['size']:,} bytes "
        f"with sha256 {artifact['sha256']}. The server's store, or something on the way, damages files."
    )
    return Damaged(detail)
