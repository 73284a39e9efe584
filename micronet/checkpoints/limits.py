"""Limits: how much a checkpoint may claim before anything is read on its word."""

from dataclasses import dataclass

MEBI = 1 << 20
GIBI = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are checked before the parser behind them runs. The defaults fit networks a hundred times a track's.

    file_bytes        size of the file; also the sum of what an archive says it unpacks to
    zip_entries       files in an archive; PyTorch writes one per tensor
    zip_ratio         unpacked to packed bytes of one entry; PyTorch does not compress at all
    pickle_bytes      length of the pickle that describes the tensors (the tensors' values lie outside it)
    pickle_steps      instructions of that pickle, and entries that its calls may copy; a tensor takes about fifty
    pickle_depth      containers opened inside each other
    header_bytes      length of a safetensors header; a tensor takes about 120
    tensors           entries of the state dict
    dimensions        of one tensor
    elements          of all tensors of the state dict together, views counted each time
    name_length       characters of a tensor's name
    """

    file_bytes: int = 4 * GIBI
    zip_entries: int = 50_000
    zip_ratio: int = 100
    pickle_bytes: int = 64 * MEBI
    pickle_steps: int = 2_000_000
    pickle_depth: int = 64
    header_bytes: int = 8 * MEBI
    tensors: int = 50_000
    dimensions: int = 16
    elements: int = GIBI
    name_length: int = 512
