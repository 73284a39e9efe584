"""Ids of jobs as people type them: whole, or a beginning that only one of theirs has."""

import re
from itertools import islice
from typing import Any

from app.client import Client, ServerError
from app.job_id_form import LEAST, LENGTH
from app.printable import on_one_line
from micronet.errors import SettingsError

_BEGINNING = re.compile(f"[0-9a-f]{{1,{LENGTH - 1}}}")
_SHOWN = 10


def whole_id(client: Client, named: str) -> str:
    """The id that is meant; what is no beginning of one is left to the server. A whole id takes no request.

    Raises SettingsError for a beginning that is too short or that several ids have, ServerError where none has it.
    """
    if not _BEGINNING.fullmatch(named):
        return named
    if len(named) < LEAST:
        raise SettingsError(f"{named!r}: of a job's id give at least {LEAST} characters; `micronet jobs` lists them.")
    found = list(islice(client.jobs(id_prefix=named), _SHOWN + 1))
    if not found:
        detail = f"no job's id begins {named!r}; `micronet jobs` lists them."
        raise ServerError(detail, code="job-not-found", title="No such job")
    if len(found) > 1:
        listed = "\n".join([*map(_described, found[:_SHOWN]), *(["and more"] if len(found) > _SHOWN else [])])
        raise SettingsError(
            f"{named!r}: the ids of several jobs begin so; give more of the one that is meant:\n{listed}"
        )
    only: str = found[0]["id"]
    return only


def _described(job: dict[str, Any]) -> str:
    file = job["checkpoint"]
    facts = (job["kind"], job["status"], job["name"], file and file["filename"])
    return on_one_line(f"{job['id']}  {', '.join(fact for fact in facts if fact)}")
