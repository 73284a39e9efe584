"""Stored files, for those who hold them: what they uploaded and what their jobs made."""

import re
from contextlib import AsyncExitStack
from typing import Annotated, Any, BinaryIO, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.checkpoints import Sha256
from app.http.documented import ETAG, NOT_MODIFIED, problem
from app.http.downloads import Download
from app.http.errors import RangeNotSatisfiable
from app.http.routing import api_router
from app.http.site import Site, SiteDep
from app.http.submissions import FILENAME_LENGTH, clean_filename
from app.http.uploads import storage_errors
from worker.errors import BlobGone, BlobNotFound
from worker.records.values import StoredBlob

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
"""One range; requests for several are served the whole, as RFC 9110 allows."""
Filename = Annotated[str, Query(max_length=FILENAME_LENGTH, description="name to save the file under")]
Range = Annotated[str | None, Header(description="one range: bytes=FIRST-LAST")]


class Span(NamedTuple):
    """Bytes `first` to before `end`."""

    first: int
    end: int


def files_router() -> APIRouter:
    """Routes below /blobs."""
    router = api_router("files")
    router.add_api_route(
        "/blobs/{sha256}",
        read_blob,
        methods=["GET"],
        name="read_blob",
        response_class=Response,
        responses={
            200: _bytes("All of it"),
            206: _bytes("The range that was asked for"),
            304: NOT_MODIFIED,
            404: problem(404, "No such file, or another team's"),
            410: problem(410, "It was here, and was swept"),
            416: problem(416, "The range lies outside the file"),
            429: problem(429, "More requests or downloads at once than a team may have"),
        },
    )
    return router


def _bytes(meaning: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "binary"}
    return {"description": meaning, "headers": ETAG, "content": {Download.media_type: {"schema": schema}}}


async def read_blob(
    request: Request, site: SiteDep, caller: CallerDep, sha256: Sha256, *, filename: Filename = "", range: Range = None
) -> Response:
    """The bytes of a file; a part of them with Range. 410 says that it was here and was swept."""
    tag = f'"{sha256}"'
    blob = await site.database.run(_held, site, caller, sha256)
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    asked = request.method == "GET" and request.headers.get("if-range", tag) == tag  # RFC 9110, 14.2: of GET alone
    wanted = range if asked else None
    span = wanted_span(wanted, blob.size)
    async with AsyncExitStack() as held:
        held.enter_context(site.rates.download(caller.owner))
        file = await site.files.run(_open, site, blob, span)
        held.push_async_callback(site.files.run, file.close)
        if not file.seekable():
            span = None
        first, end = span or (0, blob.size)
        headers = {
            "ETag": tag,
            "Accept-Ranges": "bytes" if file.seekable() else "none",
            "Content-Length": str(end - first),
            "Content-Disposition": _disposition(clean_filename(filename) or sha256[:16]),
            **({} if span is None else {"Content-Range": f"bytes {first}-{end - 1}/{blob.size}"}),
        }
        status = 200 if span is None else 206
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=Download.media_type)
        return Download(file, end - first, site.files, held.pop_all(), status=status, headers=headers)


def wanted_span(header: str | None, size: int) -> Span | None:
    """What a Range header asks of `size` bytes; None for all of them. Raises RangeNotSatisfiable."""
    found = _RANGE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        span = Span(max(0, size - int(last)), size)
    else:
        span = Span(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return None  # invalid, which RFC 9110 has ignored
    if span.first >= span.end:
        raise RangeNotSatisfiable(size)
    return span


def _held(site: Site, caller: Caller, sha256: str) -> StoredBlob:
    records = site.services.records
    blob = records.blobs.find(sha256, caller.owner)
    if blob is not None:
        return blob
    if records.jobs.names(sha256, caller.owner):
        raise BlobGone(f"{sha256} is not kept any more: files no job needs are swept with time.")
    raise BlobNotFound(f"no file {sha256} is here.")


def _open(site: Site, blob: StoredBlob, span: Span | None) -> BinaryIO:
    try:
        with storage_errors():
            file = site.services.blobs.open(blob.location)
            if span is not None and file.seekable():
                file.seek(span.first)
            return file
    except FileNotFoundError:
        raise BlobGone(f"{blob.sha256} was swept this moment.") from None


def _disposition(filename: str) -> str:
    """RFC 6266: the name as it is where it is plain ASCII, else in UTF-8."""
    quoted = quote(filename, safe="")
    return f'attachment; filename="{filename}"' if quoted == filename else f"attachment; filename*=utf-8''{quoted}"
