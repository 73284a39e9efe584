"""Good files of every container, nesting and prefix give the same tensors."""

import os
import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from micronet.checkpoints import Limits, OnnxModel, StateDict, read_checkpoint
from micronet.errors import FileTooLarge, NoStateDict, UnknownFormat, UnsupportedTensor
from tests.micronet.checkpoints.bad_onnx import classifier
from tests.micronet.checkpoints.containers import Storage, pickled, tensor, torch_legacy, torch_zip

VALUES = torch.tensor([0.5, -1.25, 3.0, 1024.0])
RAW = struct.pack("<4f", *VALUES.tolist())


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def read(path: Path) -> StateDict:
    checkpoint = read_checkpoint(path)
    assert isinstance(checkpoint, StateDict)
    return checkpoint


def read_saved(path: Path, value: object, **options: object) -> StateDict:
    torch.save(value, path, **options)
    return read(path)


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return list(found) == list(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.t7", "model.pth.tar", "model.safetensors", "model"])
@pytest.mark.parametrize(("new", "container"), [(True, "pytorch-zip"), (False, "pytorch-legacy")])
def test_state_dict_round_trip_whatever_the_name(
    tmp_path: Path, network: nn.Module, name: str, new: bool, container: str
) -> None:
    checkpoint = read_saved(tmp_path / name, network.state_dict(), _use_new_zipfile_serialization=new)
    assert checkpoint.container == container
    assert checkpoint.source == ""
    assert checkpoint.warnings == ()
    assert same(checkpoint.tensors, network.state_dict())
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in checkpoint.tensors.values())


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_safetensors_round_trip(tmp_path: Path, network: nn.Module, name: str) -> None:
    save_file(network.state_dict(), tmp_path / name, metadata={"format": "pt"})
    checkpoint = read(tmp_path / name)
    assert checkpoint.container == "safetensors"
    assert same(checkpoint.tensors, {key: network.state_dict()[key] for key in checkpoint.tensors})
    assert len(checkpoint.tensors) == len(network.state_dict())


def test_onnx_is_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(classifier().SerializeToString())
    checkpoint = read_checkpoint(path)
    assert isinstance(checkpoint, OnnxModel)
    assert [node.op_type for node in checkpoint.model.graph.node] == ["Flatten", "Gemm"]


@pytest.mark.parametrize("name", ["kaist_v2_pr15.onnx", "osi_60.onnx"])
def test_published_onnx_files(shared_dir: Path, name: str) -> None:
    assert isinstance(read_checkpoint(shared_dir / "checkpoints" / name), OnnxModel)


@pytest.mark.parametrize("location", ["cuda:1", "cuda:97", "mps", "xla:0", "nonsense"])
@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_of_other_devices_come_to_the_cpu(tmp_path: Path, location: str, legacy: bool) -> None:
    data = pickled({"weight": tensor(Storage(location=location))}, legacy=legacy)
    if legacy:
        path = torch_legacy(tmp_path / "m.pth", data, storages=struct.pack("<q", 4) + RAW)
    else:
        path = torch_zip(tmp_path / "m.pth", data, {"0": RAW})
    assert same(read(path).tensors, {"weight": VALUES})


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ({"state_dict": {"a": VALUES}}, "state_dict"),
        ({"net": {"a": VALUES}, "acc": 80.1, "epoch": 3}, "net"),
        (
            {"model": {"a": VALUES}, "optimizer": {"state": {0: {"momentum_buffer": VALUES}}, "param_groups": []}},
            "model",
        ),
        ({"model": {"state_dict": {"a": VALUES}}}, "model/state_dict"),
        ({"model_state_dict": {"a": VALUES}, "best": torch.tensor(0.8)}, "model_state_dict"),
        ({"ema": {"a": VALUES}, "steps": 3}, "ema"),
        ({"state_dict": {}, "net": {"a": VALUES}, "text": "hello"}, "net"),
        ({"scheduler": {"milestones": Counter([3, 5])}, "model": {"a": VALUES}}, "model"),
        (OrderedDict(network=OrderedDict(a=VALUES)), "network"),
    ],
)
def test_nested_state_dict_is_found(tmp_path: Path, value: object, source: str) -> None:
    checkpoint = read_saved(tmp_path / "m.pth", value)
    assert checkpoint.source == source
    assert same(checkpoint.tensors, {"a": VALUES})


def test_trained_weights_go_before_their_average_and_it_is_said(tmp_path: Path) -> None:
    checkpoint = read_saved(tmp_path / "m.pth", {"state_dict_ema": {"a": VALUES * 2}, "state_dict": {"a": VALUES}})
    assert same(checkpoint.tensors, {"a": VALUES})
    assert len(checkpoint.warnings) == 1
    assert "'state_dict_ema'" in checkpoint.warnings[0]


def test_only_mapping_of_tensors_is_taken_with_a_warning(tmp_path: Path) -> None:
    checkpoint = read_saved(tmp_path / "m.pth", {"pruned_net": {"a": VALUES}, "epoch": 3})
    assert checkpoint.source == "pruned_net"
    assert checkpoint.warnings


def test_keys_are_listed_when_nothing_is_found(tmp_path: Path) -> None:
    with pytest.raises(NoStateDict, match="'epoch', 'accuracy'"):
        read_saved(tmp_path / "m.pth", {"epoch": 1, "accuracy": 0.5})


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["module.a", "module.b"], ["a", "b"]),
        (["_orig_mod.a", "_orig_mod.b"], ["a", "b"]),
        (["module._orig_mod.a", "module._orig_mod.b"], ["a", "b"]),
        (["_orig_mod.module.module.a"], ["a"]),
        (["module.a", "b"], ["module.a", "b"]),
        (["model.a", "model.b"], ["model.a", "model.b"]),
        (["module."], ["module."]),
        (["n_averaged", "module.a"], ["a"]),
        (["n_averaged", "a"], ["n_averaged", "a"]),
        (["quant_net.a", "quant_net.b"], ["quant_net.a", "quant_net.b"]),
    ],
)
def test_prefixes_that_all_keys_share_are_taken_off(tmp_path: Path, keys: list[str], names: list[str]) -> None:
    assert list(read_saved(tmp_path / "m.pth", dict.fromkeys(keys, VALUES)).tensors) == names


def test_lightning_prefix(tmp_path: Path) -> None:
    value = {"pytorch-lightning_version": "2.0", "state_dict": {"model.a": VALUES}}
    assert list(read_saved(tmp_path / "m.pth", value).tensors) == ["a"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    checkpoint = read_saved(tmp_path / "m.pth", {"a": VALUES.to(dtype)})
    assert checkpoint.tensors["a"].dtype == torch.float32
    assert same(checkpoint.tensors, {"a": VALUES})


def test_integers_keep_their_type_where_integers_belong(tmp_path: Path) -> None:
    value = {
        "w": VALUES,
        "bn.num_batches_tracked": torch.tensor(7),
        "q.forward_bp": torch.tensor([3, 4], dtype=torch.int32),
    }
    tensors = read_saved(tmp_path / "m.pth", value).tensors
    assert tensors["bn.num_batches_tracked"].dtype == torch.int64
    assert tensors["q.forward_bp"].dtype == torch.int32


def test_numbers_become_tensors_without_dimensions(tmp_path: Path) -> None:
    tensors = read_saved(tmp_path / "m.pth", {"w": VALUES, "q.forward_bp": 5, "s": 0.5, "on": True}).tensors
    assert (tensors["q.forward_bp"].dtype, tensors["q.forward_bp"].item()) == (torch.int64, 5)
    assert (tensors["s"].dtype, tensors["s"].item()) == (torch.float32, 0.5)
    assert tensors["on"].dtype == torch.bool


def test_parameters_become_tensors(tmp_path: Path, network: nn.Module) -> None:
    checkpoint = read_saved(tmp_path / "m.pth", dict(network.named_parameters()))
    assert all(type(tensor) is Tensor and not tensor.requires_grad for tensor in checkpoint.tensors.values())


def test_views_of_one_storage(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    views = {"all": base, "turned": base.t(), "part": base[1:3, ::2], "last": base[3, 5], "none": base[:0]}
    for new in (True, False):
        checkpoint = read_saved(tmp_path / "m.pth", views, _use_new_zipfile_serialization=new)
        assert same(checkpoint.tensors, views)
        assert all(tensor.is_contiguous() for tensor in checkpoint.tensors.values())


def test_channels_last_weights(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    assert same(read_saved(tmp_path / "m.pth", {"w": weight}).tensors, {"w": weight})


def test_archive_that_was_packed_again(tmp_path: Path) -> None:
    data = pickled({"weight": tensor(Storage())})
    assert same(read(torch_zip(tmp_path / "m.pth", data, {"0": RAW}, compression=8)).tensors, {"weight": VALUES})


def test_python_2_ordered_dictionary(tmp_path: Path) -> None:
    data = pickled([["weight", tensor(Storage())]])[2:-1]
    path = torch_zip(tmp_path / "m.pth", b"\x80\x02ccollections\nOrderedDict\n" + data + b"\x85R.", {"0": RAW})
    assert same(read(path).tensors, {"weight": VALUES})


@pytest.mark.parametrize(
    ("limits", "value"),
    [
        (Limits(file_bytes=100), {"a": VALUES}),
        (Limits(zip_entries=3), {"a": VALUES}),
        (Limits(pickle_bytes=50), {"a": VALUES}),
        (Limits(pickle_steps=10), {"a": VALUES}),
        (Limits(pickle_depth=1), {"a": VALUES}),
        (Limits(tensors=1), {"a": VALUES, "b": VALUES}),
        (Limits(elements=7), {"a": VALUES, "b": VALUES}),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, value: object) -> None:
    torch.save(value, tmp_path / "m.pth")
    with pytest.raises(FileTooLarge, match=r"limit|more than"):
        read_checkpoint(tmp_path / "m.pth", limits)


def test_dimensions_are_limited(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1, 1, 1)}, tmp_path / "m.pth")
    with pytest.raises(UnsupportedTensor):
        read_checkpoint(tmp_path / "m.pth", Limits(dimensions=2))


def test_huge_sparse_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    with path.open("wb") as file:
        file.write(pickle.dumps({}))
        file.truncate(5 << 30)
    with pytest.raises(FileTooLarge):
        read_checkpoint(path)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnknownFormat):
        read_checkpoint(tmp_path / "pipe")


def test_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "nothing")


def test_team_layout_of_quantized_network(tmp_path: Path) -> None:
    keys = [
        "quant_net.conv1.basis.sequential.0.conv.conv.weight",
        "quant_net.conv1.basis.sequential.0.conv.quant.forward_bp",
    ]
    value = {
        "state_dict": {f"module.{key}": tensor for key, tensor in zip(keys, [VALUES, torch.tensor(7)], strict=True)}
    }
    for new in (True, False):
        checkpoint = read_saved(tmp_path / "m.t7", value, _use_new_zipfile_serialization=new)
        assert same(checkpoint.tensors, dict(zip(keys, [VALUES, torch.tensor(7)], strict=True)))
