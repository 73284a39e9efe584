"""Checkpoints sent ahead of their jobs: large ones, or one for many jobs."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.body import announced_length, body_chunks
from app.http.documented import Answers, problem, success
from app.http.error_answers import answer
from app.http.errors import InvalidRequest
from app.http.pieces import Place, append, copy, give_up, opened
from app.http.problems import LENGTH, OFFSET, Fault
from app.http.site import Site, SiteDep
from app.http.uploads import Upload
from micronet.contract.values import SHA256_PATTERN, in_words
from worker.blobs.settling import has_gone
from worker.errors import CheckpointNotFound, HashMismatch
from worker.records.values import StoredBlob

Sha256 = Annotated[
    str,
    Path(pattern=SHA256_PATTERN, description="SHA-256 of the file, in lower case"),
    in_words("needs 64 hexadecimal digits in lower case"),
]
Offset = Annotated[int, Header(alias=OFFSET, ge=0, description="bytes of the file before this piece")]
Length = Annotated[int, Header(alias=LENGTH, ge=1, description="bytes of the whole file")]


class StoredCheckpoint(BaseModel):
    """A file that jobs can name as `checkpoint_sha256`."""

    sha256: str = Field(pattern=SHA256_PATTERN)
    size: int = Field(ge=0, description="bytes")


_EMPTY = Fault(detail="the file is empty.", pointer="")
_HERE: Answers = {200: success(StoredCheckpoint, "It is here")}
_WRITTEN: Answers = {201: success(StoredCheckpoint, "It was stored", "Location")}
_NOT_HERE: Answers = {404: problem(404, "Not here, or only for another team")}
_SO_FAR = {OFFSET: {"schema": {"type": "integer", "minimum": 0}, "description": "bytes of the file that are here"}}
_PARTLY_HERE: Answers = {404: {**_NOT_HERE[404], "headers": _SO_FAR}}
_MORE: Answers = {
    204: {"description": "It was added; more is needed", "headers": _SO_FAR},
    409: {**problem(409, "What is here ends elsewhere"), "headers": _SO_FAR},
}


def checkpoints_router() -> APIRouter:
    """Routes below /checkpoints."""
    router = APIRouter(tags=["checkpoints"], prefix="/checkpoints")
    router.add_api_route("/{sha256}", _read, methods=["GET"], name="read_checkpoint", responses=_HERE | _NOT_HERE)
    router.add_api_route("/{sha256}", _look, methods=["HEAD"], name="look_for_checkpoint", responses=_PARTLY_HERE)
    router.add_api_route("/{sha256}", _write, methods=["PUT"], name="write_checkpoint", responses=_HERE | _WRITTEN)
    router.add_api_route(
        "/{sha256}", _add, methods=["PATCH"], name="add_to_checkpoint", responses=_HERE | _WRITTEN | _MORE
    )
    router.add_api_route(
        "/{sha256}",
        _give_up,
        methods=["DELETE"],
        name="give_up_checkpoint",
        status_code=204,
        responses={
            204: {"description": "What had come of it is gone"},
            404: problem(404, "No piece of it is here, or only another team's"),
        },
    )
    return router


async def _read(site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Whether this file is here, and its size."""
    blob = await _held(site, caller, sha256)
    if blob is None:
        raise CheckpointNotFound(f"no checkpoint {sha256} is here; PUT it.")
    return _stored(blob, 200)


async def _look(request: Request, site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Whether this file is here; if not, `Upload-Offset` says how much of it has come in pieces."""
    blob = await _held(site, caller, sha256)
    if blob is not None:
        return _stored(blob, 200)
    size = await site.files.run(site.services.partials.size, caller.owner, sha256)
    missing = answer(CheckpointNotFound(f"{size:,} bytes of {sha256} are here; PATCH it."), request.url.path)
    missing.headers[OFFSET] = str(size)
    return missing


async def _write(request: Request, site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Send a file: the body is its bytes. 201 says it was stored, 200 that it was here already."""
    limits = site.services.settings
    announced = announced_length(request, limits.upload_bytes)
    if not announced and "transfer-encoding" not in request.headers:
        raise InvalidRequest([_EMPTY])
    held = await _kept(site, caller, sha256)
    if held is not None:
        return _stored(held, 200)
    with site.rates.upload(caller.owner):
        async with await Upload.begin(site.services, site.files, announced) as upload:
            async for chunk in body_chunks(request, limits.upload_bytes, limits.idle_seconds):
                await upload.write(chunk)
            return _stored(await _keep(site, caller, sha256, upload), 201)


async def _add(
    request: Request, site: SiteDep, caller: CallerDep, sha256: Sha256, *, offset: Offset, length: Length
) -> Response:
    """Send a file in pieces: the body is its bytes from `Upload-Offset` on. 204 asks for more, from where it says.

    What has come of a piece stays when its connection breaks, or the server; HEAD tells how much that is. An API
    process on another host does not know of it: there it is 0, and the file begins again. So a proxy before several
    hosts has to send each address always to the same one. Files that get no more pieces are swept.

    From the first piece on, room for `Upload-Length` bytes is kept from the team's other unfinished files, until the
    file is stored, given up (DELETE) or swept; each host counts what is unfinished on its own. Files that come whole
    may take that room: then the next piece, even the last, is refused (429), and what has come stays for a later try.
    """
    place = Place(offset, length)
    place.check(site.services.settings.upload_bytes)
    held = await _kept(site, caller, sha256)
    if held is not None:
        return _stored(held, 200)
    with site.rates.upload(caller.owner):
        async with opened(site, caller, sha256, place) as partial:
            await append(request, site, partial, place)
            if partial.size < length:
                return Response(status_code=204, headers={OFFSET: str(partial.size)})
            try:
                async with await Upload.begin(site.services, site.files, length) as upload:
                    await copy(site, partial, upload)
                    blob = await _keep(site, caller, sha256, upload)
            except HashMismatch:
                await site.files.run(partial.remove)
                raise
            await site.files.run(partial.remove)
            return _stored(blob, 201)


async def _give_up(site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Give up a file of which not all pieces have come: those that have go, and what it announced makes room.

    A file that is stored stays: it goes with the jobs that name it.
    """
    if not await give_up(site, caller, sha256):
        raise CheckpointNotFound(
            f"nothing of {sha256} waits for the rest; what is stored goes with its jobs: DELETE /jobs/ID."
        )
    return Response(status_code=204)


async def _kept(site: Site, caller: Caller, sha256: str) -> StoredBlob | None:
    """The file, if the caller holds it and it has not gone; kept from now on as if it had just come."""
    held = await site.database.run(site.services.records.blobs.use, sha256, caller.owner)
    return None if held is None or await site.files.run(has_gone, site.services.blobs, held.location) else held


async def _keep(site: Site, caller: Caller, sha256: str, upload: Upload) -> StoredBlob:
    """The file, of which all has come, recorded as the caller's. Raises HashMismatch and much else."""
    _check(sha256, await upload.finish(), upload.size)

    def record(blob: StoredBlob) -> tuple[StoredBlob, str | None]:
        kept = site.services.records.blobs.add(blob, caller.owner, site.services.settings.team_stored_bytes)
        return kept, kept.location

    blob = await upload.settle(record)
    site.metrics.uploaded(blob.size)
    return blob


def _check(announced: str, actual: str, size: int) -> None:
    if actual != announced:
        raise HashMismatch(f"{size:,} bytes came, with the hash {actual}; the address says {announced}.")
    if not size:
        raise InvalidRequest([_EMPTY])


async def _held(site: Site, caller: Caller, sha256: str) -> StoredBlob | None:
    return await site.database.run(site.services.records.blobs.find, sha256, caller.owner)


def _stored(blob: StoredBlob, status: int) -> Response:
    text = StoredCheckpoint(sha256=blob.sha256, size=blob.size).model_dump_json()
    headers = {"Location": f"/checkpoints/{blob.sha256}"} if status == 201 else {}
    return Response(text, status, headers, "application/json")
