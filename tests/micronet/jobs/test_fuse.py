"""The fuse job: fewer operations, the same answers, and a file that scores as the original."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from micronet.architectures.load import create_network
from micronet.graph.capture import capture
from micronet.jobs import JOBS, Context
from micronet.jobs.network import read_network
from micronet.onnx_writer import write_graph
from micronet.transformation.prepare import prepare
from tests.micronet.jobs.asking import ask, numbers
from tests.micronet.jobs.test_score import Heard
from tests.micronet.onnx_writer.roundtrip import trained_looking_

Digits = tuple[Path, dict[str, Any]]


def test_what_fusing_saves_by_hand(digits: Digits, tmp_path: Path) -> None:
    """Two batch norms of 16 and 32 channels on 8x8 and 4x4 pixels go into convolutions, which get a bias each."""
    path, settings = digits
    result = ask("fuse", path, {"architecture": settings["architecture"]}, tmp_path)
    assert [(one.norm, one.into) for one in result.merged] == [("bn1", "conv1"), ("bn2", "conv2")]
    assert result.before.parameters - result.after.parameters == 16 + 32  # scale and shift become one bias
    assert result.before.multiplications - result.after.multiplications == _elements(path, settings)
    assert result.before.additions == result.after.additions  # the shift is now the bias
    assert 0 < result.largest_difference < 1e-4 * result.largest_logit
    assert (tmp_path / "fused.onnx").stat().st_size == result.artifact.size
    assert result.removed == ()


def _elements(path: Path, settings: dict[str, Any]) -> int:
    """Elements of the results of both batch norms."""
    unfused = ask("score", path, {**settings, "bits": None, "fuse_batchnorm": False, "evaluate": False})
    norms = [layer for layer in unfused.layers if layer.op == "batch_norm"]
    return sum(layer.multiplications for layer in norms)


@pytest.mark.parametrize("bits", [None, {"param_bits": 6, "mul_bits": 8}])
def test_the_file_scores_as_the_original(bits: object, digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    ask("fuse", path, {"architecture": settings["architecture"]}, tmp_path)
    for policy in ("challenge", "report"):
        given = {**settings, "bits": bits, "policy": policy}
        original = ask("score", path, given)
        assert numbers(ask("score", tmp_path / "fused.onnx", {**given, "architecture": None})) == numbers(original)


def test_fusing_and_then_quantizing_is_quantizing(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    ask("fuse", path, {"architecture": settings["architecture"]}, tmp_path)
    through = ask("quantize", tmp_path / "fused.onnx", {"track": "digits"}, tmp_path)
    straight = ask("quantize", path, {"track": "digits", "architecture": settings["architecture"]})
    facts = [[tensor.model_dump(exclude={"name"}) for tensor in result.tensors] for result in (through, straight)]
    assert facts[0] == facts[1]
    assert through.merged == ()


def test_norms_that_nothing_takes_over_stay_and_score_the_same(tmp_path: Path) -> None:
    path = tmp_path / "dense.pth"
    options = {"depth": 22, "num_classes": 10}
    torch.save(trained_looking_(create_network("densenet", options)).state_dict(), path)
    architecture = {"name": "densenet", "options": options}
    result = ask("fuse", path, {"architecture": architecture}, tmp_path)
    assert result.merged
    assert {one.op for one in result.removed} <= {"dropout"}
    assert result.largest_difference < 1e-4 * result.largest_logit
    given = {"track": "cifar10", "evaluate": False, "bits": None}
    original = ask("score", path, {**given, "architecture": architecture})
    assert numbers(ask("score", tmp_path / "fused.onnx", given)) == numbers(original)


def test_what_is_spelled_out_and_what_does_nothing_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "mobile.pth"
    options = {"num_classes": 10, "image_size": 32, "width_multiplier": 0.25}
    torch.save(trained_looking_(create_network("mobilenetv2", options)).state_dict(), path)
    result = ask("fuse", path, {"architecture": {"name": "mobilenetv2", "options": options}})
    assert [one.op for one in result.removed] == ["dropout"]
    assert len(result.merged) == 52


def test_published_entries_are_fused(shared_dir: Path, tmp_path: Path) -> None:
    """SCORING section 4 has 467,824 + 9,160 parameters, 29,319,742 multiplications and 27,093,422 additions after
    batch norms are fused. Nobody reads filter 3 of a gate of 384 channels: its weights and the column it had are zeros,
    and go with its bias and its swish.
    """
    path = shared_dir / "checkpoints" / "osi_60.onnx"
    result = ask("fuse", path, {}, tmp_path)
    [lost] = result.removed_channels
    assert (lost.layer, lost.constant, lost.unread) == ("_blocks.6/_se_reduce/Conv", 0, 1)
    after = result.after
    assert 467_824 + 9_160 - after.parameters == 2 * 384 + 1
    assert (29_319_742 - after.multiplications, 27_093_422 - after.additions) == (3, 1)
    assert len(result.merged) == 31
    assert result.merged_layers == ()
    again = ask("fuse", tmp_path / "fused.onnx", {})
    assert again.before == again.after == result.after
    assert (again.merged, again.removed_channels) == ((), ())
    assert again.largest_difference < 1e-4 * again.largest_logit


def test_stages_are_announced(digits: Digits) -> None:
    path, settings = digits
    heard, job = Heard(), JOBS["fuse"]
    job.run(job.settings.model_validate({"architecture": settings["architecture"]}), path, Context(progress=heard))
    assert heard.stages == [("read", 1, 3), ("fuse", 2, 3), ("write", 3, 3)]


def test_what_does_nothing_is_taken_out_and_reported(tmp_path: Path) -> None:
    """Filters of zeros in a bottleneck's first convolution go, and the second loses its inputs; the file agrees."""
    path, options = tmp_path / "pyramid.pth", {"depth": 20, "alpha": 24}
    network = trained_looking_(create_network("pyramidnet", options))
    state = network.state_dict()
    filters = len(state["layer1.0.conv1.weight"])
    state["layer1.0.bn2.weight"][1] = state["layer1.0.bn2.bias"][1] = 0
    torch.save(state, path)
    architecture = {"name": "pyramidnet", "options": options}
    result = ask("fuse", path, {"architecture": architecture}, tmp_path)
    assert [one.model_dump() for one in result.removed_channels] == [
        {"layer": "layer1.0.conv1", "constant": 1, "unread": 0}
    ]
    assert {one.op for one in result.removed} == set()
    assert result.largest_difference < 1e-4 * result.largest_logit
    again = ask("fuse", tmp_path / "fused.onnx", {})
    assert again.before == again.after == result.after
    kernel = prepare(read_network(tmp_path / "fused.onnx", None, None)[0], fuse=False).weights
    assert any(len(weight) == filters - 1 for weight in kernel.values() if weight.dim() == 4)


def test_layers_in_a_row_become_one_and_are_no_removed_operations(tmp_path: Path) -> None:
    layers = [nn.Conv2d(1, 6, 1), nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
    head = [nn.Linear(8 * 36, 16), nn.Dropout(), nn.Linear(16, 10)]
    graph = capture(nn.Sequential(*layers, *head).eval().requires_grad_(False), (1, 8, 8))
    write_graph(graph, tmp_path / "row.onnx")
    result = ask("fuse", tmp_path / "row.onnx", {}, tmp_path)
    assert [(one.layer, one.into) for one in result.merged_layers] == [("0", "1"), ("5", "7")]
    assert [(one.norm, one.into) for one in result.merged] == [("2", "1")]
    assert {one.op for one in result.removed} <= {"dropout"}
    assert result.after.parameters == 8 * 9 + 8 + 10 * 8 * 36 + 10
    assert result.after.multiplications == 36 * 8 * 9 + 36 * 8 + 10 * 8 * 36


def test_a_quantized_file_keeps_its_grids_and_its_score(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    ask("quantize", path, {"track": "digits", "architecture": settings["architecture"]}, tmp_path)
    result = ask("fuse", tmp_path / "quantized.onnx", {}, tmp_path)
    assert (result.merged_layers, result.removed_channels) == ((), ())
    given = {"track": "digits", "bits": None}
    original = ask("score", tmp_path / "quantized.onnx", given)
    assert numbers(ask("score", tmp_path / "fused.onnx", given)) == numbers(original)
