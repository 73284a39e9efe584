"""Which version of micronet this is."""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


@cache
def version() -> str:
    """The installed one; where the library runs from its source tree without having been installed, the tree's."""
    try:
        return metadata.version("micronet")
    except metadata.PackageNotFoundError:
        return str(tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]["version"])
