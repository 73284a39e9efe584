"""A filled form on its way to a job: the same code path as POST /{kind}, but for fields of their own for settings."""

import hashlib
from contextlib import AsyncExitStack

from app.http.access import Caller
from app.http.errors import InvalidRequest, InvalidSettings
from app.http.problems import Fault
from app.http.site import Site
from app.http.submissions import FILE, FILENAME, SETTINGS, SHA256, Submission, clean_filename
from app.pages import score_form
from micronet.errors import SettingsError
from worker.records.jobs import Submitted
from worker.records.values import StoredBlob

KEY = "key"
"""The field that tells one rendered form from another."""
WITH_FIELDS = frozenset({"score", "count"})
"""Kinds whose form has a field for each setting; that of the others has one for all of them, as JSON."""


class PageForm(Submission):
    """One POST of a form of our own pages. `given` is what was put into its fields, to be shown again if it must be.

    A file that came whole stays, whatever else is wrong: `kept` names it, and nobody has to send it twice. The same
    form sent twice is one job: `key` is the rendered form's own, and with what was put in makes the Idempotency-Key.
    """

    def __init__(self, site: Site, caller: Caller, kind: str) -> None:
        super().__init__(site, caller, kind, key=None)
        self.given: dict[str, str] = {}
        self.kept: str | None = None
        self.filename: str | None = None

    async def _begin_field(self, name: str, filename: str | None, stack: AsyncExitStack) -> None:
        if name == FILE and not filename:  # as browsers send a field for a file in which none was put
            return
        await super()._begin_field(name, filename, stack)

    def _known(self, name: str) -> str:
        own = score_form.names() if self._kind in WITH_FIELDS else {SETTINGS}
        if name not in own | {FILE, SHA256, FILENAME, KEY}:
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
        settings = self._settings()
        self._form.settings = self._checked(settings)
        if key := self.given.get(KEY):
            parts = (key, self._kind, settings.decode(), self.kept or "", self.filename or "")
            self._key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return await super()._submit()

    def _settings(self) -> bytes:
        if self._kind not in WITH_FIELDS:
            return self.given.get(SETTINGS, "{}").encode()
        try:
            return score_form.settings_of(self.given)
        except SettingsError as error:
            fault = Fault(detail=str(error)[:300], pointer="/settings/architecture/options")
            raise InvalidSettings([fault]) from error

    async def _keep(self) -> None:
        """Store the file that came, or take the one that the form names; a file that came takes its place."""
        upload, self._form.upload = self._form.upload, None
        if upload is None or not upload.size:
            self.kept, self.filename = self.given.get(SHA256) or None, self.given.get(FILENAME) or None
            return
        sha256 = await upload.finish()

        def record(blob: StoredBlob) -> tuple[StoredBlob, str | None]:
            quota = self._limits.team_stored_bytes
            kept = self._site.services.records.blobs.add(blob, self._caller.owner, quota)
            return kept, kept.location

        await upload.settle(record)
        self._site.metrics.uploaded(upload.size)
        self.kept, self.filename = sha256, self._form.filename


def faults_by_field(error: InvalidRequest) -> dict[str, list[str]]:
    """What is wrong, by the name of the field it concerns; "" for what concerns none, said with its place."""
    found: dict[str, list[str]] = {}
    known = score_form.names() | {FILE, SETTINGS}
    for fault in error.faults:
        name = _PLACES.get(fault.pointer or "", (fault.pointer or "").removeprefix("/settings/").strip("/"))
        place = name
        while name and name not in known:  # /normalize/mean/0 concerns /normalize/mean
            name = name.rpartition("/")[0]
        detail = fault.detail if name or not place else f"{place}: {fault.detail}"
        found.setdefault(name, []).append(detail)
    return found


_PLACES = {"/checkpoint_sha256": FILE, "/settings/architecture": "architecture/name"}
"""Faults that people look for at another field than where they are."""


def faults_of_text(error: InvalidRequest) -> dict[str, list[str]]:
    """The same where one field has all settings: each with its place in them."""
    found: dict[str, list[str]] = {}
    for fault in error.faults:
        inside = (fault.pointer or "").startswith("/settings")
        name = SETTINGS if inside else FILE if fault.pointer in ("/checkpoint", "/checkpoint_sha256") else ""
        place = (fault.pointer or "").removeprefix("/settings").strip("/")
        found.setdefault(name, []).append(f"{place}: {fault.detail}" if inside and place else fault.detail)
    return found
