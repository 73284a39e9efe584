"""A filled form on its way to a job: the same code path as POST /{kind}, but for fields of their own for settings."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack

from app.http.access import Caller
from app.http.errors import InvalidRequest, InvalidSettings
from app.http.problems import Fault
from app.http.site import Site
from app.http.submissions import FILE, FILENAME, SHA256, Submission, clean_filename
from app.pages.forms import UnclearForm, faults_by_field, form_of, rest_of, settings_of
from micronet.contract import JobSettings
from micronet.jobs import JOBS
from worker.records.jobs import Submitted
from worker.records.values import StoredBlob

KEY = "key"
"""The field that tells one rendered form from another."""


class PageForm(Submission):
    """One POST of a form of our own pages. `given` is what was put into its fields, to be shown again if it must be.

    A file that came whole stays, whatever else is wrong: `kept` names it, and nobody has to send it twice. The same
    form sent twice is one job: `key` is the rendered form's own, and with what was put in makes the Idempotency-Key.
    """

    def __init__(self, site: Site, caller: Caller, kind: str) -> None:
        super().__init__(site, caller, kind, key=None)
        self.fields = form_of(kind)
        self.given: dict[str, str] = {}
        self.kept: str | None = None
        self.filename: str | None = None

    async def _begin_field(self, name: str, filename: str | None, stack: AsyncExitStack) -> None:
        if name == FILE and not filename:  # as browsers send a field for a file in which none was put
            return
        await super()._begin_field(name, filename, stack)

    def _known(self, name: str) -> str:
        if name not in self.fields.names | {FILE, SHA256, FILENAME, KEY}:
            raise InvalidRequest([Fault(detail=f"there is no field {name[:80]!r} in this form.", pointer="")])
        if name in self._form.seen:
            raise InvalidRequest([Fault(detail=f"{name} comes twice.", pointer=f"/{name}")])
        self._form.seen.add(name)
        return name

    def _end_field(self, name: str, text: bytes) -> None:
        if name != FILE:
            self.given[name] = text.decode("utf-8", errors="replace").replace("\r\n", "\n")

    async def _submit(self) -> Submitted:
        await self._keep()
        if self.kept is not None:
            super()._end_field(SHA256, self.kept.encode())
            self._form.filename = clean_filename(self.filename)
        settings = json.dumps(settings_of(self.fields, self.given)).encode()
        self._form.settings = self._checked(settings)
        if self.kept is None:
            self._check_without_file(self._form.settings)
        if key := self.given.get(KEY):
            parts = (key, self._kind, settings.decode(), self.kept or "", self.filename or "")
            self._key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return await super()._submit()

    def _check_without_file(self, settings: JobSettings) -> None:
        """As every submission is checked, in the words of the form."""
        if JOBS[self._kind].file != "optional":
            raise InvalidRequest([Fault(detail="choose one first.", pointer=f"/{FILE}")])
        if settings.architecture is None:
            detail = "there is nothing to start from: choose a network here, or a file above."
            raise InvalidSettings([Fault(detail=detail, pointer="/settings/architecture")])

    def faults(self, error: InvalidRequest) -> Mapping[str, list[str]]:
        """What is wrong with it, by the name of the field it concerns; "" for what concerns none."""
        if isinstance(error, UnclearForm):
            return error.by_field
        try:
            rest = rest_of(self.given)
        except UnclearForm:  # which nobody came to, for something else is wrong before it
            rest = {}
        return faults_by_field(self.fields, rest, error.faults)

    async def _keep(self) -> None:
        """Store the file that came, or take the one that the form names; a file that came takes its place."""
        upload, self._form.upload = self._form.upload, None
        if upload is None or not upload.size:
            self.kept, self.filename = self.given.get(SHA256) or None, self.given.get(FILENAME) or None
            if upload is not None:
                raise InvalidRequest([Fault(detail="the file is empty.", pointer=f"/{FILE}")])
            return
        sha256 = await upload.finish()

        def record(blob: StoredBlob) -> tuple[StoredBlob, str | None]:
            quota = self._limits.team_stored_bytes
            kept = self._site.services.records.blobs.add(blob, self._caller.owner, quota)
            return kept, kept.location

        await upload.settle(record)
        self._site.metrics.uploaded(upload.size)
        self.kept, self.filename = sha256, self._form.filename
