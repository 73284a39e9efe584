"""The ground of the contract: frozen, strict values, and the words every other part of it uses."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Bits = Annotated[int, Field(ge=2, le=32, description="bits; 32 means not quantized")]
UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""As in a regular expression: control characters, and those that turn the direction of a line."""
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=rf"^[^{UNPRINTABLE}]+$")]


class Value(BaseModel):
    """Base of everything here: frozen, and strict about keys and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Share = Annotated[float, Field(ge=0, lt=1)]
"""Of a whole, which it is never."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
