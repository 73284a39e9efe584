"""The reference as it was written."""

from functools import cache
from importlib import resources

from micronet.reference.values import Reference

FILE = "library.json"


@cache
def reference() -> Reference:
    """What the tables of this release say."""
    return Reference.model_validate_json(resources.files("micronet.reference").joinpath(FILE).read_text("utf-8"))
