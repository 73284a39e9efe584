"""The quantize job: its file scores, as it is, exactly as the original does with the same bits."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

from micronet.architectures.load import create_network
from micronet.contract import QuantizeResult
from micronet.data.datasets import open_split
from micronet.errors import AlreadyQuantized, SettingsError
from micronet.evaluation.inputs import Inputs
from micronet.graph.grid import on_grid
from micronet.jobs import JOBS, Context
from micronet.onnx_reader import import_graph, load_model
from micronet.tracks import track
from tests.micronet.architectures.wavecomp import LAYOUTS, wavecomp_state_dict
from tests.micronet.jobs.asking import ask, numbers
from tests.micronet.jobs.test_score import Heard

Digits = tuple[Path, dict[str, Any]]

SHARED = ("track", "architecture", "bits", "fuse_batchnorm", "quantizer", "normalize", "seed")
VARIANTS: Mapping[str, Mapping[str, object]] = {
    "defaults": {},
    "narrow": {"bits": {"param_bits": 4, "mul_bits": 6}},
    "own types": {"bits": {"param_bits": 8, "mul_bits": 16}},
    "weights only": {"bits": {"param_bits": 5, "mul_bits": 32}},
    "activations only": {"bits": {"param_bits": 32, "mul_bits": 9}},
    "nothing": {"bits": {"param_bits": 32, "mul_bits": 32}},
    "per filter": {"quantizer": {"granularity": "channel", "rule": "max"}},
    "unfused": {"fuse_batchnorm": False},
    "unfused activations": {"fuse_batchnorm": False, "bits": {"param_bits": 32, "mul_bits": 9}},
}


def quantize_digits(digits: Digits, change: Mapping[str, object], outputs: Path) -> tuple[QuantizeResult, Path]:
    path, settings = digits
    asked = {key: value for key, value in {**settings, **change}.items() if key in SHARED}
    return ask("quantize", path, asked, outputs), outputs / "quantized.onnx"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_scores_as_the_original_with_these_bits(variant: str, digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    given = {**settings, **VARIANTS[variant]}
    result, made = quantize_digits(digits, VARIANTS[variant], tmp_path)
    as_it_is = {**given, "architecture": None, "bits": None}
    for policy in ("challenge", "report"):
        original = ask("score", path, {**given, "policy": policy})
        assert numbers(ask("score", made, {**as_it_is, "policy": policy})) == numbers(original)
        if variant not in ("activations only", "unfused activations"):
            again = ask("score", made, {**given, "architecture": None, "policy": policy})
            assert numbers(again) == numbers(original)
    assert original.accuracy.correct > 100 or variant == "narrow"  # chance is 36
    assert (result.artifact.name, result.artifact.size) == ("quantized.onnx", made.stat().st_size)
    assert result.artifact.sha256 == hashlib.sha256(made.read_bytes()).hexdigest()


@pytest.mark.parametrize("accumulators", ["declared", "proven"])
def test_proofs_survive_the_file(accumulators: str, digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    _, made = quantize_digits(digits, {}, tmp_path)
    given = {**settings, "accumulators": accumulators, "policy": "challenge", "bit_true": True}
    original = ask("score", path, given)
    assert numbers(ask("score", made, {**given, "architecture": None, "bits": None})) == numbers(original)


def test_other_widths_on_top_are_refused_and_named(digits: Digits, tmp_path: Path) -> None:
    _, settings = digits
    _, made = quantize_digits(digits, {}, tmp_path)
    for bits, words in ({"param_bits": 8}, "8 bits"), ({"mul_bits": 10}, "12 bits, not 10"), ({"param_bits": 32}, "9"):
        with pytest.raises(AlreadyQuantized, match=words):
            ask("score", made, {**settings, "architecture": None, "bits": bits})
    with pytest.raises(AlreadyQuantized):
        ask("quantize", made, {"track": "digits", "bits": {"param_bits": 8}})


def test_quantizing_twice_changes_nothing(digits: Digits, tmp_path: Path) -> None:
    first, made = quantize_digits(digits, {}, tmp_path)
    (tmp_path / "again").mkdir()
    second = ask("quantize", made, {"track": "digits"}, tmp_path / "again")
    assert second.artifact.size == first.artifact.size
    graphs = [import_graph(load_model(path)) for path in (made, tmp_path / "again" / "quantized.onnx")]
    assert graphs[0].formats == graphs[1].formats
    assert all(torch.equal(graphs[0].weights[name], graphs[1].weights[name]) for name in graphs[0].weights)
    assert {tensor.relative_squared_error for tensor in second.tensors} == {None}


def test_the_same_job_writes_the_same_bytes(digits: Digits, tmp_path: Path) -> None:
    one, other = (quantize_digits(digits, {}, tmp_path)[0] for _ in range(2))
    assert one == other


def test_every_tensor_is_reported_and_lies_on_its_grid(digits: Digits, tmp_path: Path) -> None:
    result, made = quantize_digits(digits, {"bits": {"param_bits": 5, "mul_bits": 7}}, tmp_path)
    graph = import_graph(load_model(made))
    weights = {tensor.name: tensor for tensor in result.tensors if tensor.kind == "weight"}
    assert weights.keys() == graph.formats.keys()
    for name, grid in graph.formats.items():
        assert (weights[name].bits, weights[name].points) == (5, grid.points())
        assert torch.equal(on_grid(graph.weights[name], grid), graph.weights[name])
        assert weights[name].values == graph.weights[name].numel()
    values = [tensor for tensor in result.tensors if tensor.kind == "activation"]
    assert [value.name for value in values] == ["input", "conv1", "conv2", "pool", "fc"]
    assert {value.bits for value in values} == {7}
    assert all(len(value.points) == 1 for value in values if value.points is not None)
    assert values[0].values == 100 * 64
    errors = [tensor.relative_squared_error for tensor in result.tensors]
    assert all(error is not None and 0 <= error < 0.2 for error in errors)


def test_more_bits_err_less(digits: Digits, tmp_path: Path) -> None:
    errors = []
    for bits in (4, 6, 8):
        result, _ = quantize_digits(digits, {"bits": {"param_bits": bits, "mul_bits": bits}}, tmp_path)
        assert all(tensor.relative_squared_error is not None for tensor in result.tensors)
        errors.append(sum(tensor.relative_squared_error or 0 for tensor in result.tensors))
    assert errors[0] > 4 * errors[1] > 16 * errors[2] > 0


def test_merged_batch_norms_are_named(digits: Digits, tmp_path: Path) -> None:
    result, _ = quantize_digits(digits, {}, tmp_path)
    assert [(one.norm, one.into) for one in result.merged] == [("bn1", "conv1"), ("bn2", "conv2")]
    assert quantize_digits(digits, {"fuse_batchnorm": False}, tmp_path)[0].merged == ()


def test_onnxruntime_answers_as_the_score_says(digits: Digits, tmp_path: Path) -> None:
    _, settings = digits
    _, made = quantize_digits(digits, {}, tmp_path)
    score = ask("score", made, {**settings, "architecture": None, "bits": None})
    chosen = track("digits")
    images, labels = Inputs(open_split(chosen, "test", None), chosen.mean, chosen.std).batch(0, 10_000)
    session = onnxruntime.InferenceSession(made)
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert abs(int((logits.argmax(1) == labels.numpy()).sum()) - score.accuracy.correct) <= 1


def test_widths_no_quantizer_of_onnx_has_are_refused_before_any_work(digits: Digits, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at most 16 bits"):
        quantize_digits(digits, {"bits": {"mul_bits": 20}}, tmp_path)


def test_stages_are_announced_and_without_outputs_nothing_is_written(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    heard, job = Heard(), JOBS["quantize"]
    asked = job.settings.model_validate({key: settings[key] for key in ("track", "architecture")})
    result = job.run(asked, path, Context(None, "cpu", heard))
    assert heard.stages == [("read", 1, 4), ("quantize", 2, 4), ("measure", 3, 4), ("write", 4, 4)]
    assert heard.last == (100, 100, "images")
    assert result.artifact.size > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pruned_pyramidnets_score_the_same(layout: str, few_cifar100_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "wavecomp.pth"
    torch.save(wavecomp_state_dict(layout), path)  # type: ignore[arg-type]
    given = {"architecture": {"name": "pyramidnet", "options": {"depth": 29, "alpha": 12}}}
    given["quantizer"] = {"calibration_images": 50}  # type: ignore[dict-item]
    ask("quantize", path, given, tmp_path, few_cifar100_dir)
    for policy in ("challenge", "report"):
        scored = {**given, "policy": policy, "evaluate": False}
        original = ask("score", path, scored, None, few_cifar100_dir)
        as_it_is = {"policy": policy, "evaluate": False, "bits": None}
        assert numbers(ask("score", tmp_path / "quantized.onnx", as_it_is, None, few_cifar100_dir)) == numbers(original)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kaist_v2_pr15", "kaist_v2_pr45", "osi_60", "osi_60_folded"])
def test_published_entries_score_the_same(
    name: str, shared_dir: Path, hundred_cifar100_dir: Path, tmp_path: Path
) -> None:
    path = shared_dir / "checkpoints" / f"{name}.onnx"
    given: dict[str, object] = {"track": "hundred", "quantizer": {"calibration_images": 50}}
    ask("quantize", path, given, tmp_path, hundred_cifar100_dir)
    for policy in ("challenge", "report"):
        scored = {**given, "policy": policy, "evaluate": policy == "report"}
        original = ask("score", path, scored, None, hundred_cifar100_dir)
        again = ask("score", tmp_path / "quantized.onnx", {**scored, "bits": None}, None, hundred_cifar100_dir)
        assert numbers(again) == numbers(original)


def test_a_network_without_room_for_its_artifact_still_answers(digits: Digits, tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    torch.save(create_network("digits", {"width": 2}).state_dict(), path)
    asked = {"track": "digits", "architecture": {"name": "digits", "options": {"width": 2}}}
    assert ask("quantize", path, asked).artifact.size < 10_000


LAYERS = {"conv*": {"param_bits": 4, "mul_bits": 8}, "fc": {"param_bits": 6}, "input": {"mul_bits": 5}}
TRAIN = {"epochs": 2, "batch": 64, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}


def narrow(digits: Digits, outputs: Path, train: Mapping[str, object] | None, **more: object) -> QuantizeResult:
    path, settings = digits
    asked = {key: settings[key] for key in ("track", "architecture")} | {"layers": LAYERS, "train": train} | more
    result = ask("quantize", path, {**asked, "quantizer": {"rule": "mse"}}, outputs)
    assert isinstance(result, QuantizeResult)
    return result


@pytest.mark.parametrize("train", [None, TRAIN], ids=["rounded", "trained"])
def test_a_score_finds_the_widths_of_each_layer(
    train: Mapping[str, object] | None, digits: Digits, tmp_path: Path
) -> None:
    narrow(digits, tmp_path, train)
    made = {"track": "digits", "bits": None}
    scores = {
        policy: ask("score", tmp_path / "quantized.onnx", {**made, "policy": policy})
        for policy in ("challenge", "report")
    }
    layers = {layer.name: layer for layer in scores["challenge"].layers}
    assert {name: layers[name].weight_bits for name in ("conv1", "conv2", "fc")} == {"conv1": 4, "conv2": 4, "fc": 6}
    read = {name: layers[name].activation_bits for name in ("conv1", "conv2", "fc")}
    assert read == {"conv1": 5, "conv2": 8, "fc": 12}
    assert any("6 bits" in warning and "12 bits" in warning for warning in scores["report"].warnings)


def test_without_training_nothing_is_measured(digits: Digits, tmp_path: Path) -> None:
    result = narrow(digits, tmp_path, None)
    assert (result.training, result.accuracy) == (None, None)


def test_training_helps_and_says_how_much(digits: Digits, tmp_path: Path) -> None:
    bits = {"param_bits": 3, "mul_bits": 4}
    result = narrow(digits, tmp_path, TRAIN, bits=bits, layers={}, holdout=0.2, train_images=1000)
    assert result.training is not None
    assert result.training.after.correct > result.training.before.correct
    assert result.training.before.total == 287  # a fifth of 1,437
    assert result.training.images == 2 * 15 * 64
    score = ask("score", tmp_path / "quantized.onnx", {"track": "digits", "bits": None})
    assert result.accuracy == score.accuracy
    assert result.scorer.dataset is not None
    quiet = narrow(digits, tmp_path, TRAIN, bits=bits, layers={}, evaluate=False)
    assert quiet.training is not None
    assert quiet.accuracy is None


def test_a_killed_job_goes_on_and_writes_the_same_bytes(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    job = JOBS["quantize"]
    asked = job.settings.model_validate(
        {key: settings[key] for key in ("track", "architecture")} | {"train": TRAIN, "evaluate": False}
    )

    class Deadly(Heard):
        def advance(self, done: int, total: int, unit: str) -> None:
            if (done, unit) == (1, "epochs"):
                raise KeyboardInterrupt
            super().advance(done, total, unit)

    whole = job.run(asked, path, Context(None, "cpu"))
    journal = tmp_path / "journal"
    with pytest.raises(KeyboardInterrupt):
        job.run(asked, path, Context(None, "cpu", Deadly(), journal=journal))
    heard = Heard()
    resumed = job.run(asked, path, Context(None, "cpu", heard, journal=journal))
    assert resumed == whole
    names = ["read", "quantize", "train", "measure", "write"]
    assert heard.stages == [(name, number, 5) for number, name in enumerate(names, 1)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": {"conv3": {"param_bits": 4}}}, "the nearest is conv2"),
        ({"layers": {"fc": {"mul_bits": 24}}}, "mul_bits of fc 24"),
        ({"train": {"precision": "bfloat16"}}, "float32"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: Mapping[str, object], words: str, digits: Digits) -> None:
    path, settings = digits
    asked = {key: settings[key] for key in ("track", "architecture")}
    with pytest.raises(SettingsError, match=words):
        ask("quantize", path, {**asked, **change})


def test_a_quantized_file_does_not_learn(digits: Digits, tmp_path: Path) -> None:
    narrow(digits, tmp_path, None)
    with pytest.raises(AlreadyQuantized, match="before it was quantized"):
        ask("quantize", tmp_path / "quantized.onnx", {"track": "digits", "train": TRAIN})
    again = ask("quantize", tmp_path / "quantized.onnx", {"track": "digits", "layers": LAYERS})
    assert {tensor.bits for tensor in again.tensors} == {4, 5, 6, 8, 12}
