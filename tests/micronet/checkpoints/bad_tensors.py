"""Well-formed files whose tensors cannot be scored, or whose claims about them are false."""

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from micronet.errors import CorruptFile, NoStateDict, NotFinite, UnsupportedTensor
from tests.micronet.checkpoints.bad_file import BadFile
from tests.micronet.checkpoints.containers import Storage, pickled, saved, tensor, torch_legacy, torch_zip


def _saved(make: Callable[[], object]) -> Callable[[Path], Path]:
    return lambda folder: saved(folder / "model.pth", make())


def _weight(make: Callable[[], object]) -> Callable[[Path], Path]:
    return _saved(lambda: {"fc.weight": make(), "fc.bias": torch.zeros(2)})


def _claimed(*arguments: object, **more: object) -> Callable[[Path], Path]:
    """A zip with one stored value of four floats and a tensor that claims what `arguments` say."""
    return lambda folder: torch_zip(folder / "m.pth", pickled({"weight": tensor(*arguments, **more)}))  # type: ignore[arg-type]


def _attributed() -> torch.Tensor:
    weight = torch.ones(2)
    weight.note = "mine"  # type: ignore[attr-defined]
    return weight


def _quantized(folder: Path) -> Path:
    return saved(folder / "m.pth", {"weight": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)})


def _legacy(keys: tuple[str, ...], storages: bytes, numel: int = 4) -> Callable[[Path], Path]:
    data = pickled({"weight": tensor(Storage(numel=numel))}, legacy=True)
    return lambda folder: torch_legacy(folder / "m.pth", data, keys, storages)


def _truncated(folder: Path) -> Path:
    path = saved(folder / "m.pth", {"weight": torch.ones(100)}, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-150])
    return path


FOUR = struct.pack("<q", 4) + bytes(16)

TENSORS: Mapping[str, BadFile] = {
    "expanded": BadFile(_weight(lambda: torch.ones(1).expand(5)), UnsupportedTensor),
    "expanded_to_terabytes": BadFile(_claimed(Storage(), (10**6, 10**6), (0, 0)), UnsupportedTensor),
    "overlapping": BadFile(_claimed(Storage(), (2, 2), (1, 1)), UnsupportedTensor),
    "negative_stride": BadFile(_claimed(Storage(), (4,), (-1,), 3), UnsupportedTensor),
    "negative_size": BadFile(_claimed(Storage(), (-4,), (1,)), UnsupportedTensor),
    "many_dimensions": BadFile(_claimed(Storage(), (1,) * 60, (1,) * 60), UnsupportedTensor),
    "conjugated": BadFile(_claimed(Storage(), metadata={"conj": True}), UnsupportedTensor),
    "stride_out_of_bounds": BadFile(_claimed(Storage(), (2,), (4,)), CorruptFile),
    "offset_out_of_bounds": BadFile(_claimed(Storage(), (4,), (1,), 2**60), CorruptFile),
    "negative_offset": BadFile(_claimed(Storage(), (4,), (1,), -1), CorruptFile),
    "size_and_stride_differ": BadFile(_claimed(Storage(), (4,), (1, 1)), CorruptFile),
    "storage_of_terabytes": BadFile(_claimed(Storage(numel=10**12), (10**12,)), CorruptFile),
    "storage_absent": BadFile(_claimed(Storage("1")), CorruptFile),
    "storage_elsewhere": BadFile(_claimed(Storage("../data.pkl")), CorruptFile),
    "storage_of_two_types": BadFile(
        lambda folder: torch_zip(
            folder / "m.pth", pickled({"a": tensor(Storage()), "b": tensor(Storage(kind=torch.IntStorage))})
        ),
        CorruptFile,
    ),
    "legacy_storage_of_terabytes": BadFile(_legacy(("0",), FOUR, 10**12), CorruptFile),
    "legacy_without_storages": BadFile(_legacy((), b""), CorruptFile),
    "legacy_other_length": BadFile(_legacy(("0",), struct.pack("<q", 5) + bytes(20)), CorruptFile),
    "legacy_truncated": BadFile(_truncated, CorruptFile),
    "sparse": BadFile(_weight(lambda: torch.eye(2).to_sparse()), UnsupportedTensor),
    "sparse_rows": BadFile(_weight(lambda: torch.eye(2).to_sparse_csr()), UnsupportedTensor),
    "quantized": BadFile(_quantized, UnsupportedTensor),
    "meta": BadFile(_weight(lambda: torch.ones(2, device="meta")), UnsupportedTensor),
    "complex": BadFile(_weight(lambda: torch.ones(2, dtype=torch.complex64)), UnsupportedTensor),
    "nested": BadFile(_weight(lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])), UnsupportedTensor),
    "unsigned": BadFile(_weight(lambda: torch.ones(2, dtype=torch.uint16)), UnsupportedTensor),
    "float8": BadFile(_weight(lambda: torch.ones(2).to(torch.float8_e4m3fn)), UnsupportedTensor),
    "attributes": BadFile(_weight(_attributed), UnsupportedTensor),
    "integer_weights": BadFile(_weight(lambda: torch.ones(2, 2, dtype=torch.int8)), UnsupportedTensor),
    "text_entry": BadFile(_weight(lambda: "0.5"), UnsupportedTensor),
    "no_value": BadFile(_weight(lambda: None), UnsupportedTensor),
    "list_entry": BadFile(_weight(lambda: [0.5, 0.5]), UnsupportedTensor),
    "huge_integer": BadFile(_weight(lambda: 2**80), UnsupportedTensor),
    "nan": BadFile(_weight(lambda: torch.tensor([1.0, math.nan])), NotFinite),
    "infinity": BadFile(_weight(lambda: torch.tensor([1.0, -math.inf])), NotFinite),
    "half_infinity": BadFile(_weight(lambda: torch.tensor([1e9]).half()), NotFinite),
    "double_overflow": BadFile(_weight(lambda: torch.tensor([1e300], dtype=torch.float64)), NotFinite),
    "nan_number": BadFile(_weight(lambda: math.nan), NotFinite),
    "nan_in_checkpoint": BadFile(_saved(lambda: {"epoch": 3, "state_dict": {"a": torch.tensor(math.nan)}}), NotFinite),
    "empty_dictionary": BadFile(_saved(lambda: {}), NoStateDict),
    "no_tensors": BadFile(_saved(lambda: {"epoch": 3, "accuracy": 0.8}), NoStateDict),
    "optimizer_only": BadFile(
        _saved(lambda: {"optimizer": {"state": {0: {"m": torch.ones(1)}}}, "epoch": 1}), NoStateDict
    ),
    "two_networks": BadFile(
        _saved(lambda: {"generator": {"a": torch.ones(1)}, "critic": {"a": torch.ones(1)}}), NoStateDict
    ),
    "list_of_tensors": BadFile(_saved(lambda: [torch.ones(2)]), NoStateDict),
    "single_tensor": BadFile(_saved(lambda: torch.ones(2)), NoStateDict),
    "integer_keys": BadFile(_saved(lambda: {0: torch.ones(2)}), NoStateDict),
    "unprintable_key": BadFile(_saved(lambda: {"fc\x1b[2J": torch.ones(2)}), CorruptFile),
    "long_key": BadFile(_saved(lambda: {"x" * 10**6: torch.ones(2)}), CorruptFile),
}
