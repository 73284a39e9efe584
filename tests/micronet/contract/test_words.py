"""Rows of docstrings become words of fields, and of their schemas."""

import inspect
import pydoc
import re

import pytest
from pydantic import Field

from micronet.contract import Distillation, FineTuning, ScoreSettings, TrainSettings, Value
from micronet.contract.words import prose_and_rows, words_of_fields
from micronet.jobs import JOBS


class Base(Value):
    """A first line.

    one         the first
    two, three  both of which
                go on
    And prose again.
    """

    one: int = 1
    two: int = 2


class Derived(Base):
    """Another.

    one  nearer
    """

    three: int = Field(default=3, description="overruled")
    four: int = Field(default=4, description="its own")


def test_rows_and_prose_are_told_apart() -> None:
    prose, rows = prose_and_rows(Base.__doc__)
    assert prose == "A first line.\n\nAnd prose again."
    assert rows == {"one": "the first", "two": "both of which go on", "three": "both of which go on"}
    assert prose_and_rows(None) == ("", {})
    assert prose_and_rows("No rows: one word  two.") == ("No rows: one word  two.", {})


def test_the_nearest_class_speaks() -> None:
    assert words_of_fields(Derived)["one"] == "nearer"
    assert words_of_fields(Derived)["two"] == "both of which go on"
    assert words_of_fields(FineTuning)["momentum"] == words_of_fields(TrainSettings)["momentum"]


def test_schemas_say_it_too() -> None:
    schema = Derived.model_json_schema()
    words = {name: described["description"] for name, described in schema["properties"].items()}
    assert words == {"one": "nearer", "two": "both of which go on", "three": "both of which go on", "four": "its own"}
    assert schema["description"] == "Another."


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_every_setting_has_words(kind: str) -> None:
    schema = JOBS[kind].settings.model_json_schema()
    for part in (schema, *(each for each in schema["$defs"].values() if "properties" in each)):
        silent = [name for name, described in part["properties"].items() if not described.get("description")]
        assert not silent, part["title"]
        assert part["description"]


def test_help_of_settings_says_every_field_with_its_default_and_no_bounds_of_it() -> None:
    """Those of the classes above it too, each once; what schemas say is what they said."""
    shown = pydoc.render_doc(ScoreSettings, renderer=pydoc.plaintext).partition("Method resolution order")[0]
    rows = prose_and_rows(ScoreSettings.__doc__)[1]
    assert rows == {name: words_of_fields(ScoreSettings)[name] for name in ScoreSettings.model_fields}
    assert all(re.search(rf"^ \\|  {name}  ", shown, re.MULTILINE) for name in ScoreSettings.model_fields)
    assert prose_and_rows(ScoreSettings.__doc__)[0] == "Everything a score depends on beside the file."
    asked = inspect.signature(ScoreSettings).parameters
    assert {name: one.default for name, one in asked.items()} == dict(ScoreSettings())
    assert asked["track"].annotation is str
    assert "Annotated" not in shown


def test_what_has_to_be_said_has_no_default() -> None:
    asked = inspect.signature(Distillation).parameters
    assert asked["teacher"].default is inspect.Parameter.empty
    assert asked["weight"].default == 0.5
