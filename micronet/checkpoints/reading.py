"""Read a checkpoint: from an uploaded file to tensors or an ONNX model, or an error that says what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from onnx import ModelProto
from torch import Tensor

from micronet.checkpoints.failures import guarded
from micronet.checkpoints.limits import Limits
from micronet.checkpoints.safetensors_file import load_safetensors
from micronet.checkpoints.sniffing import Format, require_regular, sniff
from micronet.checkpoints.state_dict import find_state_dict
from micronet.checkpoints.tensors import clean_tensors
from micronet.checkpoints.torch_file import load_legacy, load_zip
from micronet.errors import FileTooLarge
from micronet.onnx_reader import load_model

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class StateDict:
    """Named tensors, without the network they belong to.

    tensors      finite, dense, on the CPU: float32, or integers where integers belong; wrappers' prefixes taken off
    container    "pytorch-zip", "pytorch-legacy" or "safetensors"
    source       the keys that led to them, such as "model/state_dict"; "" if they are the top of the file
    warnings     what the owner should know: other state dicts in the file that were not used
    """

    tensors: Mapping[str, Tensor]
    container: str
    source: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """A network with its weights, checked by the ONNX reader and not yet a graph."""

    model: ModelProto


def read_checkpoint(path: Path, limits: Limits = DEFAULT_LIMITS) -> StateDict | OnnxModel:
    """The checkpoint at `path`, told by its content; the name means nothing, and nothing in the file is run.

    Memory is bounded by the file's size and `limits` before each step that allocates. The file must not change.

    Raises a CheckpointError, whatever the file holds: UnknownFormat, FileTooLarge, CorruptFile, DecompressionBomb,
    UnsafePickle, NoStateDict, UnsupportedTensor, NotFinite or an OnnxError. OSError if the file cannot be opened.
    """
    length = require_regular(path)
    if length > limits.file_bytes:
        raise FileTooLarge(f"The file has {length} bytes; the limit is {limits.file_bytes}.")
    with path.open("rb") as file:
        container = sniff(file, length)
        with guarded("the file", "Save it again with torch.save(model.state_dict(), path) and upload the whole file."):
            if container is Format.ONNX:
                return OnnxModel(load_model(path))
            found = find_state_dict(_load(container, path, file, limits))
            tensors = MappingProxyType(clean_tensors(found.entries, limits))
    return StateDict(tensors, container.value, found.source, found.warnings)


def _load(container: Format, path: Path, file: BinaryIO, limits: Limits) -> object:
    if container is Format.SAFETENSORS:
        return load_safetensors(path, file, limits)
    return load_zip(file, limits) if container is Format.PYTORCH_ZIP else load_legacy(file, limits)
