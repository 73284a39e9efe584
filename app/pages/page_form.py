"""A filled form on its way to a job: the same code path as POST /{kind}, but for fields of their own for settings."""

from contextlib import AsyncExitStack

from app.http.access import Caller
from app.http.errors import InvalidRequest, InvalidSettings
from app.http.problems import Fault
from app.http.site import Site
from app.http.submissions import FILE, FILENAME, SETTINGS, SHA256, Submission
from app.pages import score_form
from micronet.errors import SettingsError
from worker.records.jobs import Submitted
from worker.records.values import StoredBlob

WITH_FIELDS = frozenset({"score", "count"})
"""Kinds whose form has a field for each setting; that of the others has one for all of them, as JSON."""


class PageForm(Submission):
    """One POST of a form of our own pages. `given` is what was put into its fields, to be shown again if it must be.

    A file that came whole stays though the settings be wrong: `kept` names it, and nobody has to send it twice.
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
        if name not in own | {FILE, SHA256, FILENAME}:
            raise InvalidRequest([Fault(detail=f"there is no field {name[:80]!r} in this form.", pointer="")])
        if name in self.given:
            raise InvalidRequest([Fault(detail=f"{name} comes twice.", pointer=f"/{name}")])
        return name

    def _end_field(self, name: str, text: bytes) -> None:
        if name != FILE:
            self.given[name] = text.decode("utf-8", errors="replace").replace("\r\n", "\n")

    async def _submit(self) -> Submitted:
        form = self._form
        self.filename = form.filename or self.given.get(FILENAME) or None
        if form.upload is None:
            if self.filename:
                super()._end_field(FILENAME, self.filename.encode())
            if sha256 := self.given.get(SHA256):
                super()._end_field(SHA256, sha256.encode())
                self.kept = sha256
        try:
            form.settings = self._checked(self._settings())
        except InvalidSettings:
            await self._keep()
            raise
        return await super()._submit()

    def _settings(self) -> bytes:
        if self._kind not in WITH_FIELDS:
            return self.given.get(SETTINGS, "{}").encode()
        try:
            return score_form.settings_of(self.given)
        except SettingsError as error:
            fault = Fault(detail=str(error), pointer="/settings/architecture/options")
            raise InvalidSettings([fault]) from error

    async def _keep(self) -> None:
        upload = self._form.upload
        if upload is None or not upload.size:
            return
        self.kept = await upload.finish()

        def record(blob: StoredBlob) -> tuple[StoredBlob, str | None]:
            quota = self._limits.team_stored_bytes
            kept = self._site.services.records.blobs.add(blob, self._caller.owner, quota)
            return kept, kept.location

        await upload.settle(record)


def faults_by_field(error: InvalidRequest) -> dict[str, list[str]]:
    """What is wrong, by the name of the field it concerns; "" for what concerns none."""
    found: dict[str, list[str]] = {}
    known = score_form.names() | {FILE, SHA256, SETTINGS}
    for fault in error.faults:
        name = (fault.pointer or "").removeprefix("/settings/").strip("/")
        while name and name not in known:  # /normalize/mean/0 concerns /normalize/mean
            name = name.rpartition("/")[0]
        found.setdefault(name, []).append(fault.detail)
    return found
