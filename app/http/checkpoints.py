"""Checkpoints sent ahead of their jobs: large ones, or one for many jobs."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.body import announced_length, body_chunks
from app.http.documented import Answers, problem, success
from app.http.errors import InvalidRequest
from app.http.problems import Fault
from app.http.site import Site, SiteDep
from app.http.uploads import Upload, has_gone
from worker.errors import CheckpointNotFound, HashMismatch
from worker.records.values import StoredBlob

SHA256_PATTERN = "^[0-9a-f]{64}$"
Sha256 = Annotated[str, Path(pattern=SHA256_PATTERN, description="SHA-256 of the file, in lower case")]


class StoredCheckpoint(BaseModel):
    """A file that jobs can name as `checkpoint_sha256`."""

    sha256: str = Field(pattern=SHA256_PATTERN)
    size: int = Field(ge=0, description="bytes")


_EMPTY = Fault(detail="the file is empty.", pointer="")
_HERE: Answers = {200: success(StoredCheckpoint, "It is here")}
_WRITTEN: Answers = {201: success(StoredCheckpoint, "It was stored", "Location")}
_NOT_HERE: Answers = {404: problem(404, "Not here, or only for another team")}


def checkpoints_router() -> APIRouter:
    """Routes below /checkpoints."""
    router = APIRouter(tags=["checkpoints"], prefix="/checkpoints")
    router.add_api_route("/{sha256}", _read, methods=["GET"], name="read_checkpoint", responses=_HERE | _NOT_HERE)
    router.add_api_route("/{sha256}", _look, methods=["HEAD"], name="look_for_checkpoint", responses=_NOT_HERE)
    router.add_api_route("/{sha256}", _write, methods=["PUT"], name="write_checkpoint", responses=_HERE | _WRITTEN)
    return router


async def _read(site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Whether this file is here, and its size."""
    blob = await _held(site, caller, sha256)
    if blob is None:
        raise CheckpointNotFound(f"no checkpoint {sha256} is here; PUT it.")
    return _stored(blob, 200)


async def _look(site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Whether this file is here."""
    return await _read(site, caller, sha256)


async def _write(request: Request, site: SiteDep, caller: CallerDep, sha256: Sha256) -> Response:
    """Send a file: the body is its bytes. 201 says it was stored, 200 that it was here already."""
    limits = site.services.settings
    announced = announced_length(request, limits.upload_bytes)
    if not announced and "transfer-encoding" not in request.headers:
        raise InvalidRequest([_EMPTY])
    held = await site.database.run(site.services.records.blobs.use, sha256, caller.owner)
    if held is not None and not await site.files.run(has_gone, site.services, held.location):
        return _stored(held, 200)
    with site.rates.upload(caller.owner):
        async with await Upload.begin(site.services, site.files, announced) as upload:
            async for chunk in body_chunks(request, limits.upload_bytes, limits.idle_seconds):
                await upload.write(chunk)
            _check(sha256, await upload.finish(), upload.size)

            def record(blob: StoredBlob) -> tuple[StoredBlob, str | None]:
                kept = site.services.records.blobs.add(blob, caller.owner, limits.team_stored_bytes)
                return kept, kept.location

            blob = await upload.settle(record)
    site.metrics.uploaded(blob.size)
    return _stored(blob, 201)


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
