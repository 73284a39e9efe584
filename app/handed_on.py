"""A file of one job, on its way to another: which settings of the first the second is told as well."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from micronet.contract import JobSettings, ScoreSettings
from micronet.jobs import JOBS

_SHARED = ("track", "policy", "normalize", "seed", "team")
"""Settings that mean the same in all the jobs that have them."""
_LONGEST = 200
"""Letters of a name, as the contract has it."""
_OF_PARTS = ("architecture", "normalize")
"""Settings that are handed on of which a part can be given alone."""


def handed_on(kind: str, job_kind: str, told: Mapping[str, Any], made: str | None) -> dict[str, Any]:
    """Settings of a job of `kind` on a file of a job of `job_kind` that was told `told`, as JSON.

    `made` is the name of the file if that job made it; None for the file that it was sent, whose architecture goes with
    it. What the two kinds have in common is handed on, but for values that `kind` does not take. A file that was made
    is scored as it is: nothing is put on top of the grids that it brings, and what optimize made is measured as
    optimize measures it.
    """
    shared = {name: told[name] for name in _SHARED if told.get(name) is not None}
    if JOBS[kind].settings is ScoreSettings and made is not None:
        optimized = {"accumulators": "proven", "bit_true": True} if job_kind == "optimize" else {}
        shared = {"policy": "challenge", "bits": None, **optimized} | shared
    if made is None and told.get("architecture") is not None:
        shared["architecture"] = told["architecture"]
    name = told.get("name")
    if isinstance(name, str):
        shared["name"] = name if made is None else name_of_made(name, made)
    return taken_by(JOBS[kind].settings, shared)


def with_given(handed: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is handed on, with what is given in its place: of an architecture and a normalization, part by part."""
    in_parts = {name: _with_parts(handed[name], given[name]) for name in _OF_PARTS if name in handed and name in given}
    return {**handed, **given, **in_parts}


def _with_parts(handed: Any, given: Any) -> Any:
    """What is given, and of what was handed on the parts that are not, options one by one.

    An architecture of another name has nothing of the first, whose options are its own.
    """
    if not (isinstance(handed, Mapping) and isinstance(given, Mapping)):
        return given
    if "name" in handed and given.get("name", handed["name"]) != handed["name"]:
        return given
    parts = {**handed, **given}
    before, now = handed.get("options"), given.get("options")
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        parts["options"] = {**before, **now}
    return parts


def name_of_made(name: str, made: str) -> str:
    """The name of a job, and which of its files this is: Whole road, 3-sparsify."""
    which = f", {PurePosixPath(made).stem}"[:_LONGEST]
    return name[: _LONGEST - len(which)] + which


def taken_by(kind: type[JobSettings], told: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that a job of this kind has, with the values that it takes."""
    known = {name: value for name, value in told.items() if name in kind.model_fields}
    try:
        kind.model_validate_json(json.dumps(known))
    except ValidationError as error:
        wrong = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
        return {name: value for name, value in known.items() if name not in wrong}
    return known
