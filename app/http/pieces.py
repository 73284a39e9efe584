"""A checkpoint in pieces: each goes on where what came before it ends, whatever ended that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.requests import Request

from app.http.access import Caller
from app.http.body import announced_length, body_chunks
from app.http.errors import InvalidRequest, OffsetMismatch, TooManyUploads
from app.http.gathering import Gathering
from app.http.problems import LENGTH, OFFSET, Fault
from app.http.site import Site
from app.http.uploads import Upload, check_space, is_time_to_look, storage_errors
from app.services import Services
from worker.errors import StorageFull
from worker.partials import Partial

_MOST = 64
"""Unfinished files of one owner."""


class Place(NamedTuple):
    """Where a piece belongs: from byte `offset` on, in a file of `length` bytes."""

    offset: int
    length: int

    def check(self, limit: int) -> None:
        """Raise InvalidRequest if a file of `limit` bytes, which is the largest, has no such place."""
        for header, size in ((OFFSET, self.offset), (LENGTH, self.length)):
            if size > limit:
                raise _wrong(header, f"{size:,} bytes are more than {limit:,}, which is as large as a file may be.")


@asynccontextmanager
async def opened(site: Site, caller: Caller, sha256: str, place: Place) -> AsyncIterator[Partial]:
    """The file a piece belongs to, for nobody else meanwhile; what it holds in the end stays for the next piece.

    Raises OffsetMismatch if the piece does not begin where it ends, TooManyUploads if somebody else is writing it, or
    the caller has too many of them, InvalidRequest, StorageQuota, StorageFull, Unavailable.
    """
    await site.database.run(_check_quota, site.services, caller.owner, sha256, place)
    partial = await site.files.run(_open, site.services, caller.owner, sha256, place)
    try:
        yield partial
    finally:
        await site.files.run(partial.close)


async def append(request: Request, site: Site, partial: Partial, place: Place) -> None:
    """Write the body to the end of the file. What has come when the body breaks off is written too.

    Raises InvalidRequest where it is nothing, BodyTooLarge where it is more than the file lacks, ClientTooSlow,
    ClientGone, StorageFull, Unavailable.
    """
    rest = place.length - place.offset
    announced = announced_length(request, rest)
    if rest and not announced and "transfer-encoding" not in request.headers:
        raise InvalidRequest([Fault(detail="the piece is empty.", pointer="")])

    def write(data: bytearray) -> None:
        with storage_errors():
            if is_time_to_look(partial.size, len(data)):
                check_space(site.services, len(data))
            partial.append(data)

    gathering = Gathering(site.files, write)
    try:
        async for chunk in body_chunks(request, rest, site.services.settings.idle_seconds):
            await gathering.write(chunk)
    finally:
        await gathering.finish()


async def copy(site: Site, partial: Partial, upload: Upload) -> None:
    """Send the whole file on into the store, which hashes it. Raises StorageFull, Unavailable.

    The file stays until its copy is recorded, so that a store or a database that is away then costs no byte.
    """

    def read() -> bytes:
        with storage_errors():
            return partial.chunk(upload.size)

    while chunk := await site.files.run(read):
        await upload.write(chunk)


def _check_quota(services: Services, owner: str, sha256: str, place: Place) -> None:
    others = sum(size for name, size in services.partials.sizes(owner).items() if name != sha256)
    services.records.blobs.check_quota(owner, others + place.length, services.settings.team_stored_bytes)


def _open(services: Services, owner: str, sha256: str, place: Place) -> Partial:
    partials, settings = services.partials, services.settings
    with storage_errors():
        if not partials.size(owner, sha256):
            partials.sweep(settings.partial_days)  # what is too old counts no more, sweep or not
            if len(partials.sizes(owner)) >= _MOST:
                raise TooManyUploads(f"{_MOST} files have come in part; send the rest of one, or wait for a sweep.")
        try:
            partial = partials.open(owner, sha256)
        except BlockingIOError:
            raise TooManyUploads("another request is sending this file; wait until it has ended.") from None
    try:
        _check_room(services, partial, place)
    except BaseException:
        partial.close()
        raise
    return partial


def _check_room(services: Services, partial: Partial, place: Place) -> None:
    if partial.size != place.offset:
        raise OffsetMismatch(partial.size)
    if place.offset > place.length:
        raise _wrong(LENGTH, f"{place.offset:,} bytes are here already, of a file of {place.length:,}.")
    rest = place.length - place.offset
    with storage_errors():
        check_space(services, rest + place.length)  # when all has come, it is there twice until its copy is recorded
        free = services.partials.free_bytes()
    if free - rest < services.settings.min_free_bytes:
        raise StorageFull(f"{free:,} bytes are free, too few for {rest:,} more; send it again when some was made.")


def _wrong(header: str, detail: str) -> InvalidRequest:
    return InvalidRequest([Fault(detail=f"{header}: {detail}", parameter=header)])
