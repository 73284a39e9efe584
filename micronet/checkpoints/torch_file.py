"""Files of torch.save in both containers: claims checked against the file, then torch.load(weights_only=True)."""

import io
import os
import tarfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

import torch

from micronet.checkpoints.failures import guarded
from micronet.checkpoints.limits import Limits
from micronet.checkpoints.pickle_scan import PickleFacts, scan_pickle
from micronet.checkpoints.tensor_claims import TensorClaim, described
from micronet.checkpoints.zip_archive import check_entry, read_directory, read_entry
from micronet.checkpoints.zip_kinds import require_pytorch
from micronet.errors import CorruptFile
from micronet.shown import SHOWN, show

RESAVE = "Save the state dict again with torch.save and upload the whole file."

NAMING_LENGTH = 4 * SHOWN


def load_zip(file: BinaryIO, limits: Limits) -> object:
    """What the pickle of a PyTorch zip (since 1.6) describes, on the CPU.

    Raises UnknownFormat, CorruptFile, FileTooLarge, DecompressionBomb, UnsafePickle, UnsupportedTensor.
    """
    entries = read_directory(file, limits)
    folder = require_pytorch(entries)
    data = read_entry(file, entries[f"{folder}/data.pkl"], limits.pickle_bytes)
    facts = scan_pickle(io.BytesIO(data), limits)
    for key, storage in facts.storages.items():
        entry = entries.get(f"{folder}/data/{key}")
        if entry is None or entry.size != storage.nbytes:
            found = "is not in the file" if entry is None else f"has {entry.size} bytes"
            raise CorruptFile(f"The storage {show(key)} should have {storage.nbytes} bytes and {found}. {RESAVE}")
        check_entry(file, entry)
    return _load(file, facts)


def load_legacy(file: BinaryIO, limits: Limits) -> object:
    """What a file of torch.save before 1.6 describes, on the CPU: five pickles, then the storages one after another.

    Raises CorruptFile, FileTooLarge, UnknownFormat, UnsafePickle, UnsupportedTensor.
    """
    file.seek(0)
    stream = io.BytesIO(file.read(limits.pickle_bytes))
    _refuse_tar(stream.getbuffer()[: tarfile.BLOCKSIZE].tobytes())
    for _ in ("magic number", "protocol version", "description of the system"):
        scan_pickle(stream, limits)
    facts = scan_pickle(stream, limits)
    _check_legacy_storages(file, facts, scan_pickle(stream, limits).root, stream.tell())
    return _load(file, facts)


def _refuse_tar(head: bytes) -> None:
    """torch.load takes a legacy file that is a tar as well for a tar, and would read that header's claims first."""
    with suppress(tarfile.HeaderError):
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        raise CorruptFile(f"The file is a pickle and a tar archive in one. {RESAVE}")


def _check_legacy_storages(file: BinaryIO, facts: PickleFacts, keys: object, offset: int) -> None:
    """A storage the file does not fill would show what lay in memory before, so the keys must be the claims."""
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) and key in facts.storages for key in keys)
        or not len(keys) == len(set(keys)) == len(facts.storages)
    ):
        raise CorruptFile(f"The list of storages does not name the storages that the tensors use. {RESAVE}")
    end = file.seek(0, os.SEEK_END)
    for key in keys:
        storage = facts.storages[key]
        file.seek(offset)
        stored = int.from_bytes(file.read(8), "little")
        offset += 8 + storage.nbytes
        if stored != storage.numel or offset > end:
            raise CorruptFile(
                f"The storage {show(key)} should have {storage.numel} values and the file has another number. {RESAVE}"
            )


def _load(file: BinaryIO, facts: PickleFacts) -> object:
    for tensor in facts.tensors:
        if tensor.problem is not None:
            raise described(tensor.problem, _name_of(tensor, facts.root))
    file.seek(0)
    with guarded("the PyTorch file", RESAVE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about storage classes and protocols: the library's own affairs
        return torch.load(file, map_location="cpu", weights_only=True)


def _name_of(tensor: TensorClaim, root: object) -> str | None:
    """The path of keys that leads to `tensor`; each dictionary is entered once, for a pickle may share them."""
    waiting, seen = [("", root)], {id(root)}
    for prefix, value in waiting:
        for key, item in value.items() if isinstance(value, Mapping) else ():
            name = f"{prefix}{str(key)[:SHOWN]}"
            if item is tensor:
                return name
            if id(item) not in seen and len(name) < NAMING_LENGTH:
                seen.add(id(item))
                waiting.append((f"{name}/", item))
    return None
