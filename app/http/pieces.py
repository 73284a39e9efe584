"""A checkpoint in pieces: each goes on where what came before it ends, whatever ended that."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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
from worker.errors import StorageFull, StorageQuota
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
    quota = site.services.settings.team_stored_bytes
    await site.database.run(site.services.records.blobs.check_quota, caller.owner, place.length, quota)
    async with site.rates.turn(caller.owner):
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


async def give_up(site: Site, caller: Caller, sha256: str) -> bool:
    """Delete what has come of a file in pieces, and what it announced; whether there was any.

    Raises TooManyUploads while a piece of it is coming, Unavailable.
    """
    async with site.rates.turn(caller.owner):
        return await site.files.run(_give_up, site.services, caller.owner, sha256)


def _give_up(services: Services, owner: str, sha256: str) -> bool:
    with storage_errors(), _alone_with_it():
        return services.partials.remove(owner, sha256)


def _open(services: Services, owner: str, sha256: str, place: Place) -> Partial:
    partials = services.partials
    with storage_errors():
        if not partials.size(owner, sha256):
            partials.sweep(services.settings.partial_days)  # what is too old counts no more, sweep or not
        with partials.alone(owner):
            with _alone_with_it():
                partial = partials.open(owner, sha256)
            try:
                _check_place(partial, place)
                if partial.length != place.length:
                    _check_announced(services, owner, sha256, place.length)
                    partial.announce(place.length)
                _check_room(services, place)
            except BaseException:
                partial.close()
                raise
    return partial


@contextmanager
def _alone_with_it() -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise TooManyUploads("another request is sending this file; wait until it has ended.") from None


def _check_place(partial: Partial, place: Place) -> None:
    if partial.size != place.offset:
        raise OffsetMismatch(partial.size)
    if place.offset > place.length:
        raise _wrong(LENGTH, f"{place.offset:,} bytes are here already, of a file of {place.length:,}.")


def _check_announced(services: Services, owner: str, sha256: str, length: int) -> None:
    """Raise TooManyUploads or StorageQuota unless there is room for all that is stored and announced, and for this.

    A file that was announced keeps its room from others that come in pieces. What is stored meanwhile may take it all
    the same: at every piece, `opened` holds the file against that alone.
    """
    others = {name: file.length for name, file in services.partials.unfinished(owner).items() if name != sha256}
    if len(others) >= _MOST:
        raise TooManyUploads(f"{_MOST} files have come in part; send the rest of one, or give one up: DELETE it.")
    blobs, quota = services.records.blobs, services.settings.team_stored_bytes
    if not others:
        blobs.check_quota(owner, length, quota)
        return
    stored, announced = blobs.stored_bytes(owner), sum(others.values())
    room, largest = max(quota - stored - announced, 0), max(others, key=others.__getitem__)
    if length > room:
        raise StorageQuota(
            f"{stored:,} bytes are stored and unfinished files ({len(others)}) have announced {announced:,}; "
            f"{length:,} more would pass the limit of {quota:,}, and {room:,} would not. Send the rest of an "
            f"unfinished file, or give one up: of the largest, DELETE /checkpoints/{largest}."
        )


def _check_room(services: Services, place: Place) -> None:
    rest = place.length - place.offset
    check_space(services, rest + place.length)  # when all has come, it is there twice until its copy is recorded
    free = services.partials.free_bytes()
    if free - rest < services.settings.min_free_bytes:
        raise StorageFull(f"{free:,} bytes are free, too few for {rest:,} more; send it again when some was made.")


def _wrong(header: str, detail: str) -> InvalidRequest:
    return InvalidRequest([Fault(detail=f"{header}: {detail}", parameter=header)])
