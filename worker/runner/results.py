"""A job's result, read as if an enemy had written it: what it costs to refuse one is bounded, too."""

from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from micronet.jobs import JOBS
from worker.bounded_json import JsonBounds, JsonRefused, parse
from worker.errors import OutputRefused
from worker.limits import MEBI

MAX_RESULT_BYTES = 24 * MEBI
BOUNDS = JsonBounds(values=1_000_000, keys=1000)
"""Room for the report of 100,000 epochs, and for a bound of every filter of the largest networks."""

_ENDLESS = ("list", "tuple", "set", "frozenset", "dict")


def checked(text: bytes, kind: str) -> str:
    """The result of a `kind` job, as JSON. Raises OutputRefused.

    Of pydantic's faults each takes memory, and a million values have millions of them: so first is looked whether there
    is any, and the look ends with the first of each list, and of each object whose keys are no names of fields.
    """
    try:
        value = parse(text, BOUNDS)
        _first_faults(kind).validate_python(value)
        return JOBS[kind].result.model_validate(value).model_dump_json()
    except JsonRefused as error:
        reason = str(error)
    except ValidationError as error:
        reason = f"{error.error_count()} faults, or more"
    raise OutputRefused(f"the result is no {kind} result: {reason}")  # and not from the error, which holds on to it all


@cache
def _first_faults(kind: str) -> SchemaValidator:
    result = JOBS[kind].result
    return SchemaValidator(_ends_with_first(result.__pydantic_core_schema__), {"extra_fields_behavior": "forbid"})


def _ends_with_first(schema: Any) -> Any:
    """The schema with lists and objects of any length that end with their first fault.

    Of models it has the fields only: for a whole model pydantic-core takes the model's own validator, which goes on.
    """
    if isinstance(schema, list):
        return [_ends_with_first(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "model":
        reference = {"ref": schema["ref"]} if "ref" in schema else {}
        return {**_ends_with_first(schema["schema"]), **reference}
    ends = {"fail_fast": True} if schema.get("type") in _ENDLESS else {}
    return {name: _ends_with_first(each) for name, each in schema.items()} | ends
