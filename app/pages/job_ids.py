"""Ids of jobs as people take them from a list: whole, or a beginning that only one job of theirs has."""

import re

from app.http.access import Caller
from app.http.errors import InvalidRequest
from app.http.problems import Fault
from app.http.site import Site
from app.job_id_form import LEAST, LENGTH
from worker.errors import JobNotFound
from worker.records.jobs import Filter

_BEGINNING = re.compile(f"[0-9a-f]{{{LEAST},{LENGTH - 1}}}")
_SHOWN = 10


def whole_id(site: Site, caller: Caller, named: str) -> str:
    """The id that is meant; what is no beginning of one, and a whole id, as it is.

    Raises JobNotFound where no job of the caller's begins so, InvalidRequest where several do.
    """
    if not _BEGINNING.fullmatch(named):
        return named
    found = site.services.records.jobs.list(Filter(caller.owner, id_prefix=named), _SHOWN + 1)
    if not found:
        raise JobNotFound(f"no job of yours has an id that begins {named!r}.")
    if len(found) > 1:
        ids = ", ".join(job.id for job in found[:_SHOWN]) + (" and more" if len(found) > _SHOWN else "")
        raise InvalidRequest(
            [Fault(detail=f"several jobs begin {named!r}; give more of the one that is meant: {ids}.")]
        )
    return found[0].id
