"""Files of jobs as pages link them: what is gone is not linked, and an address where nothing is any more is a page."""

from fastapi import APIRouter

from app.http.files import read_blob
from app.http.site import Site
from app.pages.routing import page_router
from worker.records.values import Job

FILES = "/ui/files"


def stored_files_router() -> APIRouter:
    """Routes below /ui/files: those below /blobs, for people."""
    router = page_router()
    router.add_api_route(f"{FILES}/{{sha256}}", read_blob, methods=["GET", "HEAD"], name="read_file")
    return router


def kept_files(site: Site, job: Job) -> frozenset[str]:
    """SHA-256s of those files of a job that its owner still has here."""
    files = {file.sha256 for file in (job.checkpoint, *job.artifacts) if file is not None}
    blobs = site.services.records.blobs
    return frozenset(sha256 for sha256 in files if blobs.find(sha256, job.owner) is not None)
