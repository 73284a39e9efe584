"""Every setting of every kind is in the guide, with what the contract says of it."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from app.pages.guide.limits import limits_of
from app.pages.guide.schema import Row, tables_of
from micronet.contract import JobSettings
from micronet.contract.values import NAME_PATTERN
from micronet.jobs import JOBS
from tests.app.pages.guide_page import guide


def rows(kind: str) -> dict[str, Row]:
    """By path; of stages that share one, the last."""
    return {row.path: row for table in tables_of(JOBS[kind].settings.model_json_schema()) for row in table.rows}


def paths(model: type[BaseModel], place: str = "") -> Iterator[str]:
    """Every path of a model, from its annotations and not from its schema."""
    for name, described in model.model_fields.items():
        here = f"{place}.{name}" if place else name
        yield here
        yield from below(described.annotation, here)


def below(annotation: Any, here: str) -> Iterator[str]:
    """What may be given inside a value of this type."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from paths(annotation, here)
    elif origin is Annotated:
        yield from below(inner[0], here)
    elif origin in (typing.Union, types.UnionType):
        for each in inner:
            yield from below(each, here)
    elif origin is tuple:
        yield from below(inner[0], f"{here}[]")
    elif origin is dict:
        yield from below(inner[1], f"{here}.NAME")
    else:
        assert origin in (None, Literal), annotation


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_every_setting_is_there(kind: str) -> None:
    expected = set(paths(JOBS[kind].settings))
    assert set(rows(kind)) == expected
    assert expected <= guide().code
    assert all(row.words for row in rows(kind).values())


def test_every_stage_of_a_pipeline_has_its_own_table() -> None:
    tables = tables_of(JOBS["pipeline"].settings.model_json_schema())
    cases = {table.case: {row.path for row in table.rows} for table in tables if table.path == "stages[]"}
    assert set(cases) == {"train", "prune", "sparsify", "fuse", "quantize"}
    assert "stages[].fine_tuning.epochs" in cases["prune"] & cases["sparsify"]
    assert cases["fuse"] == {"stages[].stage"}


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_defaults_are_those_of_settings_that_say_nothing(kind: str) -> None:
    given = JOBS[kind].settings().model_dump(mode="json")
    for path, row in rows(kind).items():
        value: Any = given
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not isinstance(value, dict) and "[]" not in path and path != "stages":
            assert row.default == json.dumps(value), path


class Inner(BaseModel):
    """Inside.

    More of it.
    """

    size: Annotated[int, Field(multiple_of=4, ge=8)] = 8
    word: Literal["a", "b"] = "a"


class Outer(JobSettings):
    """Outside.

    inner  differs
    many   of them
    """

    inner: Inner = Inner(size=12)
    many: Annotated[tuple[Inner, ...], Field(max_length=3)] = ()
    name_of: Annotated[str, Field(pattern="^x$")]


def test_rows_say_type_limits_choices_and_both_defaults() -> None:
    (table,) = tables_of(Outer.model_json_schema())
    found = {row.path: row for row in table.rows}
    assert table.words == "Outside."
    size = found["inner.size"]
    assert (size.kind, size.default, size.alone, size.limits) == ("whole number", "12", "8", "≥ 8, a multiple of 4")
    assert found["inner.word"].choices == ('"a"', '"b"')
    assert found["inner"].words == "differs. Inside."
    assert (found["inner"].kind, found["inner"].default) == ("object", "as below")
    assert (found["many"].kind, found["many"].default, found["many"].limits) == (
        "list of objects",
        "[]",
        "at most 3 of them",
    )
    assert found["many[].size"].default == "8"
    assert (found["name_of"].default, found["name_of"].limits) == ("needed", "matches ^x$")
    assert found["architecture.options"].default == "{}"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, ""),
        ({"minimum": 0, "exclusiveMaximum": 1}, "≥ 0, < 1"),
        ({"exclusiveMinimum": 0, "maximum": 1e6}, "> 0, ≤ 1,000,000"),
        ({"minItems": 1}, "at least 1 of them"),
        ({"minItems": 0, "maxItems": 2}, "at most 2 of them"),
        ({"minLength": 1, "maxLength": 200}, "1 to 200 characters"),
        ({"each": "> 0", "maxItems": 2}, "each > 0, at most 2 of them"),
        ({"pattern": NAME_PATTERN}, "printable, not blank"),
    ],
)
def test_limits_are_written_as_people_do(schema: dict[str, Any], words: str) -> None:
    assert limits_of(schema) == words


def test_an_augmentation_that_is_given_has_another_policy_than_one_that_is_not() -> None:
    """Fine-tuning has none; who sets its crop gets that of Augmentation, and is told so."""
    settings = JOBS["prune"].settings
    assert settings().model_dump()["fine_tuning"]["augmentation"]["policy"] == "none"
    given = settings.model_validate({"fine_tuning": {"augmentation": {"crop": 2}}})
    row = rows("prune")["fine_tuning.augmentation.policy"]
    assert given.model_dump()["fine_tuning"]["augmentation"]["policy"] == "trivial"
    assert (row.default, row.alone) == ('"none"', '"trivial"')
