"""Containers of torch.save and others, put together by hand so that a test can lie in each of their fields."""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch._utils import _rebuild_tensor_v2
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION


@dataclass(frozen=True)
class Storage:
    """What a pickle says about a storage; whether it is true is up to the test."""

    key: str = "0"
    numel: int = 4
    kind: type = torch.FloatStorage
    location: str = "cpu"


class Call:
    """Something whose pickle says: call `function` with `arguments`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.recipe = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.recipe


def tensor(
    storage: Storage, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), offset: int = 0, **more: object
) -> Call:
    """A tensor as torch.save spells it, with any size and stride."""
    extra = (more["metadata"],) if "metadata" in more else ()
    return Call(_rebuild_tensor_v2, storage, offset, size, stride, False, more.get("hooks", OrderedDict()), *extra)


def pickled(value: object, protocol: int = 2, legacy: bool = False) -> bytes:
    """The pickle of `value`, storages as persistent identities."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, item: object) -> object:
            if not isinstance(item, Storage):
                return None
            identity = ("storage", item.kind, item.key, item.location, item.numel)
            return (*identity, None) if legacy else identity

    buffer = io.BytesIO()
    Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def zip_of(path: Path, entries: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip with these entries."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def torch_zip(path: Path, data: bytes, storages: Mapping[str, bytes] | None = None, **options: int) -> Path:
    """A file of torch.save since 1.6: `data` is the pickle, `storages` the raw values by key."""
    raw = {"0": bytes(16)} if storages is None else storages
    entries = {"archive/data.pkl": data, "archive/byteorder": b"little"}
    entries |= {f"archive/data/{key}": content for key, content in raw.items()}
    return zip_of(path, entries | {"archive/version": b"3\n"}, **options)


def torch_legacy(path: Path, data: bytes, keys: object = ("0",), storages: bytes | None = None) -> Path:
    """A file of torch.save before 1.6: `data` is the fourth of its pickles, `storages` everything after the fifth."""
    raw = struct.pack("<q", 4) + bytes(16) if storages is None else storages
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    heads = [pickle.dumps(value, 2) for value in (MAGIC_NUMBER, PROTOCOL_VERSION, system)]
    names = pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2)
    path.write_bytes(b"".join([*heads, data, names, raw]))
    return path


def safetensors(path: Path, header: object, data: bytes = bytes(16), length: int | None = None) -> Path:
    """A safetensors file with `header` as JSON (or as these very bytes) and any length before it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def saved(path: Path, value: object, **options: object) -> Path:
    """The file that torch.save makes of `value`."""
    torch.save(value, path, **options)
    return path
