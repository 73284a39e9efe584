"""One control of a form: how the texts that browsers send become a setting, and a setting such a text."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.pages.formats import number
from app.pages.forms.schema import Setting, items_of
from app.pages.forms.words import Words
from app.settings_text import pairs
from micronet.errors import SettingsError

Control = Literal["choice", "number", "check", "text", "pairs", "numbers", "lines"]
NOTHING: Final = object()
"""What a field says that was left as it comes."""
_NONE = "none"
"""Put into the field of a number that may be null: it is."""
_CONTROLS: Mapping[str, Control] = {
    "boolean": "check",
    "integer": "number",
    "number": "number",
    "object": "pairs",
    "string": "text",
}
_YES: Mapping[str, bool] = {"yes": True, "no": False}
_ALMOST_ANY = 10_000
"""Above such bounds nobody goes, or is told when they do."""


@dataclass(frozen=True, slots=True)
class Field:
    """One control. `by_recipe`: a recipe may have another default for the setting, which holds if nothing is said."""

    setting: Setting
    words: Words
    by_recipe: bool = False

    @property
    def name(self) -> str:
        """What the form calls it: where its value goes in the settings."""
        return "/".join(self.setting.path)

    @property
    def id(self) -> str:
        """Its name, as an identifier of HTML."""
        return "field-" + self.name.replace("/", "-")

    @property
    def open(self) -> bool:
        """Whether it comes empty, and says nothing until something is put into it; else it comes with its default."""
        return self.by_recipe or self.setting.loose

    @property
    def control(self) -> Control:
        """What kind of control it is."""
        schema = self.setting.schema
        if "enum" in schema or (self.open and schema["type"] == "boolean"):
            return "choice"
        if schema["type"] == "array":
            return "lines" if items_of(schema)["type"] == "string" else "numbers"
        return _CONTROLS[schema["type"]]

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole ones."""
        schema = self.setting.schema
        return bool((items_of(schema) if schema["type"] == "array" else schema)["type"] == "integer")

    @property
    def may_say_none(self) -> bool:
        """Whether there is a word for null: where that is not what an empty field means anyhow."""
        return self.control == "number" and self.setting.nullable and (self.by_recipe or self.default != "")

    @property
    def default(self) -> str:
        """The text of what holds where nothing is said, and no recipe says something else."""
        return "" if self.setting.default is None else self._written(self.setting.default)

    @property
    def comes(self) -> str:
        """The text it comes with."""
        return "" if self.open else self.default

    @property
    def unsaid(self) -> str:
        """What holds while it is empty, as people say it."""
        return ", or ".join(filter(None, ("the recipe’s" if self.by_recipe else "", self.default)))

    @property
    def hint(self) -> str:
        """What its words say, or else the contract, and its bounds."""
        said = self.words.hint if self.words.hint is not None else self._words()
        bounds = _bounds(self.setting.schema)
        return " ".join(filter(None, (said, bounds and f"({bounds})")))

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Its choices, as values and texts."""
        choices = tuple((choice, choice) for choice in self.setting.schema.get("enum", _YES))
        if not (self.open or self.setting.nullable):
            return choices
        unsaid = f"{self.unsaid}, by default" if self.setting.loose else self.unsaid
        return (("", unsaid or _NONE), *choices)

    def said(self, given: Mapping[str, str]) -> object:
        """What a filled form says of it; NOTHING where that is the default. Raises SettingsError.

        What cannot be a value of its kind stays a text, for the contract to say what is wrong.
        """
        text = given.get(self.name, "").strip()
        if not text and self.control != "check":
            return NOTHING
        value = self._read(text)
        return NOTHING if not self.open and value == self.setting.default else value

    def text(self, value: object) -> str | None:
        """The text that means this value; None where none does."""
        means_default = value == self.setting.default and not self.by_recipe
        if value is None:
            return "" if means_default else _NONE if self.may_say_none else None
        text = self._written(value)
        if not text and self.control != "check":
            return "" if means_default else None
        try:
            return text if self._read(text.strip()) == value else None
        except SettingsError:  # a key of several lines
            return None

    def meaning(self, other: "Field", text: str) -> str | None:
        """The text that means here what `text` means in the field of another form; None where none does.

        What is no value of its kind there is none here, and stays as it is where the controls are alike.
        """
        said, alike = text.strip(), self.control == other.control
        if not said and other.control != "check":  # its default
            found = None if self.control == "check" else ""
        else:
            try:
                value = other._read(said)
                found = text if alike and self._read(said) == value else self.text(value)
            except SettingsError:  # pairs that are none
                found = text if alike else None
        return found if self.control != "choice" or found in dict(self.options) else None

    def _words(self) -> str:
        """What the contract says of the setting; of null, how a form says it."""
        words = self.setting.words
        if not self.may_say_none:
            return words.replace("null:", "empty:")
        return words.replace("null:", f"“{_NONE}”:") if "null:" in words else f"{words}; “{_NONE}”: without one"

    def _read(self, text: str) -> object:
        """The value that a text means; the text itself where it means none."""
        control = self.control
        if control == "number":
            return None if self.may_say_none and text.lower() == _NONE else _number(text, self.whole)
        if control == "numbers":
            return [_number(part.strip(), self.whole) for part in text.split(",")]
        if control in ("lines", "pairs"):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return lines if control == "lines" else dict(pairs(self.words.label, lines, "depth=272"))
        if self.setting.schema["type"] == "boolean":
            return text == "on" if control == "check" else _YES.get(text, text)
        return text

    def _written(self, value: Any) -> str:
        """As text; of what is no value of its kind, whatever."""
        match value:
            case bool():
                return ("yes" if value else "no") if self.control == "choice" else "on" if value else ""
            case Mapping():
                return "\n".join(f"{key}={json.dumps(inner)}" for key, inner in value.items())
            case list():
                return ("\n" if self.control == "lines" else ", ").join(map(str, value))
        return str(value)


def _number(text: str, whole: bool) -> object:
    try:
        value: int | float = int(text) if whole else float(text)
    except ValueError:
        return text
    return value if whole or math.isfinite(value) else text


def _bounds(schema: Mapping[str, Any]) -> str:
    """Between which numbers it has to be; "" where that goes without saying."""
    inner = items_of(schema) if schema["type"] == "array" else schema
    most = inner.get("maximum", inner.get("exclusiveMaximum"))
    if most is None or most > _ALMOST_ANY:
        return ""
    if "minimum" in inner and "maximum" in inner:
        return f"{number(inner['minimum'])} to {number(most)}"
    least = (
        f"{number(inner['minimum'])} or more" if "minimum" in inner else f"above {number(inner['exclusiveMinimum'])}"
    )
    return f"{least}, {'at most' if 'maximum' in inner else 'below'} {number(most)}"
