"""What jobs were told and answered, as it was stored: by this version of the contract, or by another."""

from typing import Any, Final

from pydantic import ValidationError

from app.settings_text import usual_of
from micronet.contract import JobSettings, Value
from micronet.jobs import JOBS
from worker.records.values import Job

_UNSAID: Final = object()
"""What holds where nothing is said of a setting that has to be said."""


def settings_of(job: Job) -> JobSettings | None:
    """The settings; None where another version of this program took them, and this one would not."""
    if job.kind not in JOBS:
        return None
    try:
        return JOBS[job.kind].settings.model_validate_json(job.settings)
    except ValidationError:
        return None


def result_of(job: Job) -> Value | None:
    """The result of a job that has one; None where another version of this program wrote it."""
    if job.kind not in JOBS or job.result is None:
        return None
    try:
        return JOBS[job.kind].result.model_validate_json(job.result)
    except ValidationError:
        return None


def chosen_of(settings: JobSettings) -> dict[str, Any]:
    """The settings that are not what they would be anyhow: by default, or by the recipe that they name."""
    recipe = getattr(settings, "recipe", None)
    kind = type(settings)
    usual = usual_of(kind) if recipe is None else kind.model_validate({"recipe": recipe})
    whole = settings.model_dump(mode="json")
    short = whole if recipe is not None else settings.model_dump(mode="json", exclude_defaults=True)
    names = [name for name in whole if getattr(settings, name) != getattr(usual, name, _UNSAID)]
    named = {} if recipe is None else {"recipe": recipe}
    return named | {name: short[name] for name in names}
