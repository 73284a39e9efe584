"""One route for each kind of job, all through one code path: a form comes in, a job is accepted."""

import re
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request

from app.http.access import Caller
from app.http.body import announced_length, body_chunks
from app.http.errors import BodyTooLarge, InvalidRequest, InvalidSettings
from app.http.fingerprints import idempotency
from app.http.form import PartBegan, PartEnded, boundary_of, form_events
from app.http.job_settings import read_settings, with_team
from app.http.problems import Fault
from app.http.site import Site
from app.http.uploads import Upload
from micronet.contract import JobSettings, files_named
from micronet.contract.values import SHA256_PATTERN
from micronet.jobs import JOBS
from worker.errors import CheckpointNotFound
from worker.records import jobs as records
from worker.records.values import Checkpoint, Idempotency, Job, NewJob, StoredBlob

FILE, SETTINGS, SHA256, FILENAME = "checkpoint", "settings", "checkpoint_sha256", "filename"
"""The fields of the form. `filename` goes with `checkpoint_sha256`: a file that comes has its name with it."""
FILENAME_LENGTH = 255
_DIGITS = re.compile(SHA256_PATTERN)

log = structlog.get_logger()


@dataclass
class _Form:
    """What has come of a form so far."""

    upload: Upload | None = None
    filename: str | None = None
    settings: JobSettings | None = None
    sha256: str | None = None
    seen: set[str] = field(default_factory=set)


class Submission:
    """One POST of a form to /{kind}."""

    def __init__(self, site: Site, caller: Caller, kind: str, key: str | None) -> None:
        self._site, self._caller, self._kind, self._key = site, caller, kind, key
        self._limits = site.services.settings
        self._form = _Form()
        self._announced: int | None = None

    async def accept(self, request: Request) -> Job:
        """The job that was made of the form, or by an earlier request with this key. Raises much."""
        boundary = boundary_of(request)
        limit = self._limits.upload_bytes + self._limits.form_bytes
        self._announced = announced_length(request, limit)
        async with AsyncExitStack() as stack:
            stack.enter_context(self._site.rates.upload(self._caller.owner))
            await self._read(request, boundary, limit, stack)
            submitted = await self._submit()
        if submitted.new:
            job = submitted.job
            log.info("job accepted", job=job.id, kind=job.kind, lane=job.lane, team=self._caller.team)
            self._site.services.bell.ring(submitted.job.id, submitted.job.lane)
        return submitted.job

    async def _read(self, request: Request, boundary: bytes, limit: int, stack: AsyncExitStack) -> None:
        chunks = body_chunks(request, limit, self._limits.idle_seconds)
        name, text, left = "", bytearray(), self._limits.form_bytes
        async for event in form_events(chunks, boundary):
            if isinstance(event, PartBegan):
                name, text = self._known(event.name), bytearray()
                await self._begin_field(name, event.filename, stack)
            elif isinstance(event, PartEnded):
                self._end_field(name, bytes(text))
            elif name == FILE and self._form.upload is not None:
                await self._form.upload.write(event)
            else:
                left -= len(event)
                if left < 0:
                    most = f"{self._limits.form_bytes:,} bytes"
                    raise BodyTooLarge(f"all fields but the file are over their limit of {most} together.")
                text += event

    def _known(self, name: str) -> str:
        if name not in (FILE, SETTINGS, SHA256, FILENAME):
            raise _fault(name, f"there is no field {name[:80]!r}; send {FILE} or {SHA256}, and {SETTINGS}.")
        if name in self._form.seen:
            raise _fault(name, f"{name} comes twice.")
        self._form.seen.add(name)
        if {FILE, SHA256} <= self._form.seen:
            raise _fault(name, f"send {FILE} or {SHA256}, not both.")
        if {FILE, FILENAME} <= self._form.seen:
            raise _fault(name, f"{FILENAME} goes with {SHA256}; a file brings its name with it.")
        return name

    async def _begin_field(self, name: str, filename: str | None, stack: AsyncExitStack) -> None:
        if name != FILE:
            return
        self._form.filename = clean_filename(filename)
        upload = await Upload.begin(self._site.services, self._site.files, self._announced)
        self._form.upload = await stack.enter_async_context(upload)

    def _end_field(self, name: str, text: bytes) -> None:
        if name == SETTINGS:
            self._form.settings = self._checked(text)
        elif name == SHA256:
            sha256 = text.decode(errors="replace")
            if not is_sha256(sha256):
                raise _fault(SHA256, "a SHA-256 as 64 lower-case hexadecimal digits is needed.")
            self._form.sha256 = sha256
        elif name == FILENAME:
            self._form.filename = clean_filename(_checked_name(text))

    def _checked(self, text: bytes) -> JobSettings:
        return read_settings(JOBS[self._kind], text, self._caller, self._limits.data)

    async def _submit(self) -> records.Submitted:
        form = self._form
        optional = JOBS[self._kind].file == "optional"
        if form.upload is None and form.sha256 is None and not optional:
            raise _fault(FILE, f"send a file {FILE}, or {SHA256} of one that is here already.")
        if FILENAME in form.seen and form.sha256 is None:
            raise _fault(FILENAME, f"{FILENAME} goes with {SHA256}.")
        settings = with_team(form.settings or self._checked(b"{}"), self._caller)
        if form.upload is None and form.sha256 is None:
            _check_without_file(settings)
            return await self._site.database.run(self._submit_job, settings, None, None)
        if form.upload is None:
            return await self._site.database.run(self._submit_known, settings)
        if not form.upload.size:
            raise _fault(FILE, "the file is empty.")
        await form.upload.finish()

        def record(blob: StoredBlob) -> tuple[records.Submitted, str | None]:
            upload = records.Upload(blob, self._limits.team_stored_bytes)
            submitted = self._submit_job(settings, blob, upload)
            return submitted, submitted.location

        submitted = await form.upload.settle(record)
        self._site.metrics.uploaded(form.upload.size)
        return submitted

    def _submit_known(self, settings: JobSettings) -> records.Submitted:
        sha256 = self._form.sha256
        assert sha256 is not None
        blob = self._site.services.records.blobs.find(sha256, self._caller.owner)
        if blob is not None:
            return self._submit_job(settings, blob, None)
        earlier = self._earlier(settings, sha256)
        if earlier is None:
            raise CheckpointNotFound(f"no checkpoint {sha256} is here; PUT /checkpoints/{sha256} first.")
        return records.Submitted(earlier, new=False)

    def _earlier(self, settings: JobSettings, sha256: str) -> Job | None:
        """The job of an earlier request with this key: it is that whether its file is still here or not."""
        key = self._idempotency(settings, sha256)
        return None if key is None else self._site.services.records.jobs.earlier(self._caller.owner, key)

    def _submit_job(
        self, settings: JobSettings, blob: StoredBlob | None, upload: records.Upload | None
    ) -> records.Submitted:
        filename = self._form.filename
        new = NewJob(
            id=uuid.uuid4().hex,
            kind=self._kind,
            lane=JOBS[self._kind].lane_of(settings),
            owner=self._caller.owner,
            team=settings.team,
            name=settings.name,
            settings=settings.model_dump_json(),
            checkpoint=None if blob is None else Checkpoint(sha256=blob.sha256, size=blob.size, filename=filename),
            files=files_named(settings),
        )
        key = self._idempotency(settings, None if blob is None else blob.sha256)
        quota = self._limits.team_stored_bytes if JOBS[self._kind].leaves_files else None
        jobs = self._site.services.records.jobs
        return jobs.submit(new, key, self._limits.team_waiting_jobs, upload, quota=quota)

    def _idempotency(self, settings: JobSettings, sha256: str | None) -> Idempotency | None:
        return None if self._key is None else idempotency(self._key, self._kind, settings, sha256, self._form.filename)


def _check_without_file(settings: JobSettings) -> None:
    if settings.architecture is None:
        detail = f"there is nothing to start from: name a network here, or send {FILE} or {SHA256}."
        raise InvalidSettings([Fault(detail=detail, pointer="/settings/architecture")])


def _checked_name(text: bytes) -> str:
    name = text.decode("utf-8", errors="replace")
    if not 1 <= len(name) <= FILENAME_LENGTH:
        raise _fault(FILENAME, f"1 to {FILENAME_LENGTH} characters are needed.")
    return name


def is_sha256(text: str) -> bool:
    """Whether it is the name of a file as we write it: no records know any other, and some cannot be asked for it."""
    return _DIGITS.fullmatch(text) is not None


def clean_filename(filename: str | None) -> str | None:
    """The last part of a file's name, without what could mislead a terminal or a page; None if nothing is left."""
    last = (filename or "").replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable()).strip()[-FILENAME_LENGTH:] or None


def _fault(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest([Fault(detail=detail, pointer="/" + name[:80].replace("~", "~0").replace("/", "~1"))])
