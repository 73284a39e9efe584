"""A file that a job made, on its way to another: the form of one, filled as that job measured or would have."""

from collections.abc import Mapping

from app.pages.forms import filled, form_of
from app.pages.stored import settings_of
from micronet.contract import OptimizeSettings, ScoreSettings
from micronet.jobs import JOBS
from worker.records.values import Job

FURTHER = tuple(kind for kind in JOBS if kind not in ("score", "count"))
"""Kinds of jobs that make something else of a file; a score only measures it."""
_SHARED = ("track", "policy", "normalize", "seed", "team", "name")
"""Settings that mean the same in all the jobs that have them."""


def score_fields(job: Job) -> Mapping[str, str] | None:
    """The fields, beside the file's; None where nobody can know them: the job is of no track, or of another version.

    Nothing is put on top of the grids that the file brings. What optimize made is scored as optimize scores it.
    """
    settings = settings_of(job)
    track = getattr(settings, "track", None)
    if settings is None or track is None:
        return None
    optimized = isinstance(settings, OptimizeSettings)
    asked = ScoreSettings(
        track=track,
        policy=getattr(settings, "policy", "challenge"),
        bits=None,
        accumulators="proven" if optimized else "declared",
        bit_true=optimized,
        normalize=getattr(settings, "normalize", None),
        seed=getattr(settings, "seed", 0),
        team=settings.team,
        name=settings.name,
    )
    return filled(form_of("score"), asked.model_dump(mode="json"))


def further_fields(kind: str, job: Job) -> Mapping[str, str]:
    """The fields of a job of this kind, beside the file's: what the two have in common, and else as they come."""
    if kind == "score" and (fields := score_fields(job)) is not None:
        return fields
    settings = settings_of(job)
    told = {} if settings is None else settings.model_dump(mode="json", include=set(_SHARED))
    known = JOBS[kind].settings.model_fields
    return filled(form_of(kind), {name: value for name, value in told.items() if name in known})
