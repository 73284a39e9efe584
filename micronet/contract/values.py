"""The ground of the contract: frozen, strict values, and the words every other part of it uses."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from inspect import Parameter, Signature
from typing import Annotated, Any, Self, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, WrapValidator
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from micronet.contract.words import prose_and_rows, with_inherited_rows, words_of_fields

Bits = Annotated[int, Field(ge=2, le=32, description="bits; 32 means not quantized")]
UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""As in a regular expression: control characters, and those that turn the direction of a line."""
_BLANK = r" \xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
"""Likewise: spaces, and most of what has no width."""
NAME_PATTERN = rf"^[^{UNPRINTABLE}]*[^{UNPRINTABLE}{_BLANK}][^{UNPRINTABLE}]*$"
"""Printable, and something of it to be seen."""
_PATTERN, _UNKNOWN = "string_pattern_mismatch", "extra_forbidden"
_MOST_SUGGESTIONS = 20
"""In one error: nobody reads more, and whoever sends a thousand keys is to wait for none."""


def in_words(words: str) -> WrapValidator:
    """Of what a pattern refuses, say `words`: a regular expression tells people nothing."""

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            if any(fault["type"] == _PATTERN for fault in error.errors()):
                raise PydanticCustomError(_PATTERN, words) from None
            raise

    return WrapValidator(check)


Name = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=NAME_PATTERN),
    in_words("needs at least one visible character, and no control characters"),
]


class _PlainSignature:
    """The signature of a class of values with plain types: pydantic's has each with all of its bounds in it."""

    def __get__(self, instance: object, kind: type[BaseModel]) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        types = get_type_hints(kind)
        return Signature([_parameter(name, field, types[name]) for name, field in kind.model_fields.items()])


def _parameter(name: str, field: FieldInfo, annotation: object) -> Parameter:
    default = Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


class Value(BaseModel):
    """Base of everything here: frozen, and strict about keys and types. What docstrings say of fields, schemas say."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """For `help`: every field and what is said of it, wherever that is."""
        cls.__signature__ = _PlainSignature()  # type: ignore[assignment]
        cls.__doc__ = with_inherited_rows(cls, cls.model_fields)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """As pydantic's; of a name that is no setting, the error says which one may have been meant.

        Here and in no validator: behind one, JSON is Python's values, and strict about other things.
        """
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise _with_suggestions(cls, error) from None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        described = handler.resolve_ref_schema(schema)
        described["description"] = prose_and_rows(cls.__doc__)[0]
        properties = described.get("properties", {})
        for name, words in words_of_fields(cls).items():
            if name in properties:
                properties[name]["description"] = words
        return schema


Share = Annotated[float, Field(ge=0, lt=1)]
"""Of a whole, which it is never."""
SHA256_PATTERN = "^[0-9a-f]{64}$"
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN), in_words("needs a SHA-256: 64 hexadecimal digits in lower case")]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _with_suggestions(kind: type[Value], error: ValidationError) -> ValidationError:
    """The error; where names are no settings, what is said of them changed."""
    faults = error.errors(include_url=False)
    if all(fault["type"] != _UNKNOWN for fault in faults):
        return error
    said: list[InitErrorDetails] = []
    for index, fault in enumerate(faults):
        unknown = fault["type"] == _UNKNOWN and index < _MOST_SUGGESTIONS
        words = _suggestion(kind, fault["loc"]) if unknown else fault["msg"]
        # as context, so that braces in it stay what they are
        told = PydanticCustomError(fault["type"], "{words}", {"words": words})
        said.append(InitErrorDetails(type=told, loc=fault["loc"], input=fault["input"]))
    return ValidationError.from_exception_data(error.title, said, input_type="json")


def _suggestion(kind: type[Value], place: Sequence[str | int]) -> str:
    """What may stand at a place instead: settings of like name, else all there are."""
    known = sorted({name for found in _at([kind], place[:-1]) for name in found.model_fields})
    close = get_close_matches(str(place[-1])[:100], known, n=1)
    if close:
        return f"no such setting; did you mean {close[0]}?"
    return f"no such setting; there are {', '.join(known)}" if known else "no such setting"


def _at(kinds: Sequence[type[Value]], place: Sequence[str | int]) -> Sequence[type[Value]]:
    """The values that may stand at a place within these: of a choice of several, those its tag leaves."""
    for part in place:
        annotations = [kind.model_fields[part].annotation for kind in kinds if part in kind.model_fields]
        tagged = [kind for kind in kinds if any(part in get_args(f.annotation) for f in kind.model_fields.values())]
        kinds = [value for annotation in annotations for value in values_in(annotation)] or tagged or kinds
    return kinds


def values_in(annotation: Any) -> Iterator[type[Value]]:
    """The values that an annotation names, of several choices each."""
    if isinstance(annotation, type) and issubclass(annotation, Value):
        yield annotation
    for inner in get_args(annotation):
        yield from values_in(inner)
