"""Style, scripts and pictures, from the package. Addresses have a hash of the content: browsers keep them for good."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

_TYPES: Mapping[str, str] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
ASSETS = "/ui/assets"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the package, and the same with gzip; `version` changes with its content."""

    content: bytes
    packed: bytes
    media_type: str
    version: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file there is, by name."""
    found = {}
    for file in resources.files("app.pages").joinpath("assets").iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            content = file.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:12]
            found[file.name] = Asset(content, gzip.compress(content), media_type, version)
    return found


def asset_address(name: str) -> str:
    """Where a page finds a file."""
    return f"{ASSETS}/{name}?v={assets()[name].version}"
