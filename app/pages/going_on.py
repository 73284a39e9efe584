"""A file of a job, on its way to another: where it can go, and the form of that, filled as the job was told."""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from urllib.parse import urlencode

from app.handed_on import handed_on
from app.pages.forms import filled, form_of
from app.pages.stored import settings_of
from micronet.contract import ScoreResult, ScoreSettings
from micronet.jobs import JOBS
from worker.records.values import Job

FURTHER = tuple(kind for kind in JOBS if JOBS[kind].leaves_files)
"""Kinds of jobs that make something else of a file; a score only measures it."""
_MEASURING = JOBS.keys() - set(FURTHER)


@dataclass(frozen=True, slots=True)
class Onward:
    """A file of a job, and where it can go.

    `fields` are those of a score that needs no more than a click, None where somebody has to choose; `kinds` those of
    jobs whose form can be filled with it.
    """

    sha256: str
    fields: Mapping[str, str] | None
    kinds: Sequence[str]


def onward(job: Job, kept: AbstractSet[str]) -> Mapping[str, Onward]:
    """Where the files of a job can go that are still here, by name: those that it made; of one that makes none, the one
    it was sent."""
    if not job.artifacts and job.kind in _MEASURING:
        sent = sent_file(job)
        return {name: Onward(sha256, None, FURTHER) for name, sha256 in sent.items() if sha256 in kept}
    found = {}
    for file in job.artifacts:
        if file.sha256 in kept and file.name.endswith(".onnx"):
            fields = score_fields(job, file.name)
            found[file.name] = Onward(file.sha256, fields, FURTHER if fields else ("score", *FURTHER))
    return found


def sent_file(job: Job) -> Mapping[str, str]:
    """The file that a job was sent: SHA-256 by the name that it has on the page; nothing where there was none."""
    return {} if job.checkpoint is None else {job.checkpoint.filename or job.checkpoint.sha256: job.checkpoint.sha256}


def score_fields(job: Job, made: str) -> Mapping[str, str] | None:
    """The fields of a score of a file that the job made, beside the file's; None where nobody can know them: the job is
    of no track, or of another version."""
    settings = settings_of(job)
    return None if getattr(settings, "track", None) is None else further_fields("score", job, made)


def further_fields(kind: str, job: Job, made: str | None) -> Mapping[str, str]:
    """The fields of a job of this kind on a file that the job made, or if that is None, that it was sent."""
    told = {} if settings_of(job) is None else json.loads(job.settings)
    fields = handed_on(kind, job.kind, told, made)
    if JOBS[kind].settings is ScoreSettings:
        fields = ScoreSettings.model_validate_json(json.dumps(fields)).model_dump(mode="json")
    return filled(form_of(kind), fields)


def other_widths(job: Job, result: object) -> Sequence[tuple[str, str]]:
    """Of a score whose job rounded a network that came out under the floor: what to try instead, and where its form is.

    Nothing where no width was asked for, or the network qualifies.
    """
    settings = settings_of(job)
    if not (isinstance(settings, ScoreSettings) and isinstance(result, ScoreResult)):
        return ()
    if settings.bits is None or result.qualifies is not False:
        return ()
    again = {"from": job.id}
    ways = [("as it is, unquantized", again | {"quantize": ""})]
    if (settings.quantizer.rule, settings.quantizer.granularity) != ("mse", "channel"):
        finer = {"quantizer/rule": "mse", "quantizer/granularity": "channel"}
        ways.append(("one grid per filter, least squared error", again | finer))
    ways += [("optimize this file", {"kind": "optimize", **again, "file": name}) for name in sent_file(job)]
    return [(words, f"/ui/submit?{urlencode(query)}") for words, query in ways]
