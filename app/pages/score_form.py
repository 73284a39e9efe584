"""The form of a score job: a field for every setting, what may be put into it read off the contract itself."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from app.settings_text import pairs, put_
from micronet.contract import ScoreSettings

Control = Literal["choice", "number", "check", "text", "pairs", "numbers"]
QUANTIZE = "quantize"
"""The box that says whether there are `bits` at all."""


@dataclass(frozen=True, slots=True)
class Words:
    """What people are told about a field."""

    label: str
    hint: str = ""


_WORDS: Mapping[str, Words] = {
    "name": Words("Name of the entry", "shown on the leaderboard"),
    "team": Words("Team", "whose entry it is"),
    "track": Words("Track"),
    "policy": Words("Policy", "report: the team's formulas, declared widths. challenge: the rules of 2019"),
    "architecture/name": Words("Architecture", "needed for a bare state dict, never for ONNX"),
    "architecture/options": Words("Its options", "KEY=VALUE, one a line: depth=272"),
    "bits/param_bits": Words("Weights", "bits"),
    "bits/mul_bits": Words("Activations", "bits"),
    "bits/add_bits": Words("Additions", "bits"),
    "bits/exponent_bits": Words("Exponents", "bits"),
    "normalize/mean": Words("Mean", "one number per channel, commas between; empty: the track's"),
    "normalize/std": Words("Standard deviation", "likewise"),
    "fuse_batchnorm": Words("Merge batch norms"),
    "quantizer/rule": Words("Range rule"),
    "quantizer/granularity": Words("One exponent per", "tensor, or channel: per filter"),
    "quantizer/weight_stds": Words("Deviations of a weight", "SigmaMax"),
    "quantizer/activation_stds": Words("Deviations of an activation", "SigmaMax"),
    "quantizer/calibration_images": Words("Calibration images", "of the training images"),
    "encoding": Words("Storage of zeros", "challenge only"),
    "accumulators": Words("Accumulators", "proven: additions at the width a bound over the weights proves"),
    "evaluate": Words("Measure accuracy"),
    "bit_true": Words("Bit-true", "sums are exact"),
    "seed": Words("Seed"),
}
FIRST = ("name", "team", "track", "policy")
"""Settings everybody chooses; the others are in groups that can be opened."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Architecture": ("architecture/name", "architecture/options"),
    "Bit widths": ("bits/param_bits", "bits/mul_bits", "bits/add_bits", "bits/exponent_bits"),
    "Normalization": ("normalize/mean", "normalize/std"),
    "Quantizer": (
        *("quantizer/rule", "quantizer/granularity", "quantizer/weight_stds", "quantizer/activation_stds"),
        "quantizer/calibration_images",
    ),
    "Counting and measuring": ("fuse_batchnorm", "encoding", "accumulators", "evaluate", "bit_true", "seed"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One control of the form. `name` is where its value goes in the settings; `default` and `choices` are texts."""

    name: str
    control: Control
    words: Words
    default: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    whole: bool = False

    @property
    def id(self) -> str:
        """Its name, as an identifier of HTML."""
        return "field-" + self.name.replace("/", "-")

    @property
    def hint(self) -> str:
        """What its words say, and its bounds."""
        bounds = f"{self.minimum:g} to {self.maximum:,g}" if self.whole and self.maximum and self.maximum < 1e9 else ""
        return ", ".join(filter(None, (self.words.hint, bounds)))

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Its choices, as values and texts."""
        return tuple((choice, choice) for choice in self.choices)


@cache
def fields() -> Mapping[str, Field]:
    """Every field by its name."""
    schema = ScoreSettings.model_json_schema()
    found = dict(_walk(schema, schema, "", ScoreSettings().model_dump(mode="json")))
    return {name: _field(name, *found[name]) for name in _WORDS}


def names() -> frozenset[str]:
    """Names of everything the form sends beside the file."""
    return frozenset(_WORDS) | {QUANTIZE}


def settings_of(given: Mapping[str, str]) -> bytes:
    """The settings that a filled form means, as JSON text. Raises SettingsError for options that are no pairs.

    An empty field means the default. What cannot be a number stays a text, for the contract to say what is wrong.
    """
    settings: dict[str, Any] = {}
    for field in fields().values():
        if field.name.startswith("bits/") and QUANTIZE not in given:
            continue
        value = _value(field, given.get(field.name, "").strip())
        if value is not None:
            put_(settings, tuple(field.name.split("/")), value)
    if QUANTIZE not in given:
        settings["bits"] = None
    return json.dumps(settings).encode()


def filled(settings: Mapping[str, Any]) -> dict[str, str]:
    """The form as it has to be filled to mean these settings."""
    values = {}
    for field in fields().values():
        inner: Any = settings
        for key in field.name.split("/"):
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if inner is not None:
            values[field.name] = _text(field, inner)
    if settings.get("bits") is not None:
        values[QUANTIZE] = "on"
    return {name: value for name, value in values.items() if value}


def usual() -> dict[str, str]:
    """The form as it comes: every default."""
    return filled(ScoreSettings().model_dump(mode="json"))


def _value(field: Field, text: str) -> object:
    if field.control == "check":
        return text == "on"
    if not text:
        return None
    if field.control == "pairs":
        return dict(pairs(field.words.label, text.splitlines(), "depth=272"))
    if field.control == "numbers":
        return [_number(part.strip(), whole=False) for part in text.split(",")]
    return _number(text, field.whole) if field.control == "number" else text


def _number(text: str, whole: bool) -> object:
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _text(field: Field, value: Any) -> str:
    if field.control == "check":
        return "on" if value else ""
    if field.control == "pairs":
        return "\n".join(f"{key}={json.dumps(inner)}" for key, inner in value.items())
    if field.control == "numbers":
        return ", ".join(map(str, value))
    return str(value)


def _walk(schema: Mapping[str, Any], part: Mapping[str, Any], prefix: str, default: Any) -> Iterator[tuple[str, Any]]:
    """Every setting that is a value, with its schema and default."""
    for name, described in part["properties"].items():
        resolved = _resolved(schema, described)
        inner = default.get(name) if isinstance(default, Mapping) else None
        if "properties" in resolved:
            yield from _walk(schema, resolved, f"{prefix}{name}/", inner)
        else:
            yield f"{prefix}{name}", (resolved, inner)


def _resolved(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is described, references followed, without the null that an optional setting may be."""
    for choice in described.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(schema, choice)
    if "$ref" in described:
        found: Mapping[str, Any] = schema["$defs"][described["$ref"].rpartition("/")[2]]
        return found
    return described


def _field(name: str, described: Mapping[str, Any], default: Any) -> Field:
    kind = described.get("type")
    control: Control = "text"
    if "enum" in described:
        control = "choice"
    elif kind in ("integer", "number"):
        control = "number"
    elif kind in ("boolean", "array", "object"):
        controls: Mapping[str, Control] = {"boolean": "check", "array": "numbers", "object": "pairs"}
        control = controls[kind]
    empty = Field(name, control, _WORDS[name], "")
    return Field(
        name,
        control,
        _WORDS[name],
        "" if default is None else _text(empty, default),
        tuple(described.get("enum", ())),
        described.get("minimum", described.get("exclusiveMinimum")),
        described.get("maximum"),
        whole=kind == "integer",
    )
