"""Whatever happens to a file on its way, reading it gives tensors or a CheckpointError, never another exception."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from micronet.checkpoints import StateDict, read_checkpoint
from micronet.errors import CheckpointError
from tests.micronet.checkpoints.bad_onnx import classifier
from tests.micronet.checkpoints.containers import Storage, pickled, saved, tensor, torch_legacy, torch_zip

VALUE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "bn.num_batches_tracked": torch.tensor(3), "scale": 0.5}
TENSORS = {key: value for key, value in VALUE.items() if isinstance(value, torch.Tensor)}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("good")
    return {
        "zip": saved(folder / "zip", {"state_dict": VALUE, "epoch": 3}).read_bytes(),
        "legacy": saved(folder / "legacy", VALUE, _use_new_zipfile_serialization=False).read_bytes(),
        "safetensors": save(TENSORS),
        "onnx": classifier().SerializeToString(),
    }


CONTAINERS = ["zip", "legacy", "safetensors", "onnx"]

PLAIN = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


def outcome(path: Path) -> object:
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        return error


def reads_or_refuses(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    result = outcome(path)
    if isinstance(result, CheckpointError):
        assert 20 < len(str(result)) < 1000
        assert str(result).isprintable()
    elif isinstance(result, StateDict):
        assert all(torch.isfinite(weight).all() for weight in result.tensors.values())


@pytest.mark.parametrize("container", CONTAINERS)
@PLAIN
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes(
    tmp_path: Path, originals: dict[str, bytes], container: str, flips: list[tuple[float, int]]
) -> None:
    content = bytearray(originals[container])
    for place, value in flips:
        content[int(place * len(content))] = value
    reads_or_refuses(tmp_path / "m", bytes(content))


@pytest.mark.parametrize("container", CONTAINERS)
@PLAIN
@given(part=st.floats(0, 1))
@example(part=0.0)
@example(part=0.999)
def test_truncated(tmp_path: Path, originals: dict[str, bytes], container: str, part: float) -> None:
    content = originals[container]
    reads_or_refuses(tmp_path / "m", content[: int(part * len(content))])


@pytest.mark.parametrize("container", CONTAINERS)
@PLAIN
@given(place=st.floats(0, 1), extra=st.binary(min_size=1, max_size=40))
def test_inserted(tmp_path: Path, originals: dict[str, bytes], container: str, place: float, extra: bytes) -> None:
    content = originals[container]
    at = int(place * len(content))
    reads_or_refuses(tmp_path / "m", content[:at] + extra + content[at:])


@PLAIN
@given(
    content=st.binary(max_size=200),
    head=st.sampled_from([b"", b"PK\3\4", b"\x80\x02", b"\x08\x08\x12", b"\x10" + bytes(7) + b"{"]),
)
def test_any_bytes(tmp_path: Path, content: bytes, head: bytes) -> None:
    reads_or_refuses(tmp_path / "m", head + content)


@pytest.mark.parametrize("legacy", [False, True])
@PLAIN
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3))
def test_changed_pickle_in_a_sound_container(tmp_path: Path, legacy: bool, flips: list[tuple[float, int]]) -> None:
    """Checksums keep most damage from the pickle; here they are right, so that all of it gets there."""
    value = {"state_dict": OrderedDict(a=tensor(Storage()), b=[3, (0.5, None)]), "n": torch.Size([2])}
    data = bytearray(pickled(value, legacy=legacy))
    for place, byte in flips:
        data[int(place * len(data))] = byte
    make = torch_legacy if legacy else torch_zip
    reads_or_refuses(tmp_path / "m", make(tmp_path / "made", bytes(data)).read_bytes())
