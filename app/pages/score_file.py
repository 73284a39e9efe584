"""A file that a job made, on its way to a score: the form of one, filled as that job measured or would have."""

from collections.abc import Mapping

from app.pages.forms import filled, form_of
from app.pages.stored import settings_of
from micronet.contract import OptimizeSettings, ScoreSettings
from worker.records.values import Job


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
