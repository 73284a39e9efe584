"""The ground of the contract: frozen, strict values, and the words every other part of it uses."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from micronet.contract.words import prose_and_rows, words_of_fields

Bits = Annotated[int, Field(ge=2, le=32, description="bits; 32 means not quantized")]
UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""As in a regular expression: control characters, and those that turn the direction of a line."""
_BLANK = r" \xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
"""Likewise: spaces, and most of what has no width."""
NAME_PATTERN = rf"^[^{UNPRINTABLE}]*[^{UNPRINTABLE}{_BLANK}][^{UNPRINTABLE}]*$"
"""Printable, and something of it to be seen."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NAME_PATTERN)]


class Value(BaseModel):
    """Base of everything here: frozen, and strict about keys and types. What docstrings say of fields, schemas say."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
