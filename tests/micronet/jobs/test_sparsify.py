"""The sparsify job: its file, and what every later job leaves of its zeros."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from micronet.errors import SettingsError
from micronet.graph.ir import Graph
from micronet.jobs import JOBS, Context
from micronet.jobs.network import read_network
from micronet.sparsity.magnitude import share_of_zeros, sparse_weights
from micronet.transformation.prepare import prepare
from tests.micronet.jobs.asking import ask
from tests.micronet.jobs.test_score import Heard

Digits = tuple[Path, dict[str, Any]]
NO_TUNING = {"epochs": 0}
TEN_EPOCHS = {"epochs": 10, "batch": 64, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}


@pytest.fixture(scope="module")
def sparse(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, settings = digits
    outputs = tmp_path_factory.mktemp("sparse")
    given = {"track": "digits", "architecture": settings["architecture"], "sparsity": 0.7, "fine_tuning": NO_TUNING}
    ask("sparsify", path, given, outputs)
    return outputs / "sparse.onnx"


def network(path: Path) -> Graph:
    return prepare(read_network(path, None, None)[0], fuse=False)


def zeros(graph: Graph) -> list[Tensor]:
    return [graph.weights[name] == 0 for name in sparse_weights(graph)]


def test_the_file_has_the_zeros_and_the_answer_says_so(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    given = {"track": "digits", "architecture": settings["architecture"], "sparsity": 0.5, "train_images": 256}
    tuning = {**TEN_EPOCHS, "epochs": 2}
    result = ask("sparsify", path, {**given, "rounds": 2, "fine_tuning": tuning}, tmp_path)
    graph = network(tmp_path / "sparse.onnx")
    weights = sum(layer.weights for layer in result.sparsifying.layers)
    assert share_of_zeros(graph) * weights == round(0.5 * weights)
    assert sum(layer.nonzero for layer in result.sparsifying.layers) == weights - round(0.5 * weights)
    assert result.accuracy.top1 > 0.9
    scored = ask("score", tmp_path / "sparse.onnx", {"track": "digits", "bits": None, "fuse_batchnorm": False})
    assert scored.accuracy == result.accuracy
    assert scored.operations.multiplications == result.sparsifying.after.multiplications


def test_training_goes_round_the_zeros(sparse: Path, tmp_path: Path) -> None:
    ask("train", sparse, {"track": "digits", "train_images": 320, **TEN_EPOCHS}, tmp_path)
    before, after = network(sparse), network(tmp_path / "trained.onnx")
    assert all(torch.equal(one, other) for one, other in zip(zeros(before), zeros(after), strict=True))
    assert not torch.equal(before.weights["conv2.weight"], after.weights["conv2.weight"])


@pytest.mark.parametrize("job", ["fuse", "quantize"])
def test_later_jobs_keep_every_zero(job: str, sparse: Path, tmp_path: Path) -> None:
    ask(job, sparse, {"track": "digits"} if job == "quantize" else {}, tmp_path)
    [artifact] = tmp_path.iterdir()
    before, after = zeros(network(sparse)), zeros(network(artifact))
    assert [one.shape for one in before] == [other.shape for other in after]
    assert all(bool(other[one].all()) for one, other in zip(before, after, strict=True))
    if job == "fuse":
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_stages_are_announced_and_no_room_is_no_trouble(sparse: Path) -> None:
    heard, job = Heard(), JOBS["sparsify"]
    given = {"track": "digits", "sparsity": 0.5, "evaluate": False}
    result = job.run(job.settings.model_validate(given), sparse, Context(progress=heard))
    assert heard.stages == [("read", 1, 3), ("sparsify", 2, 3), ("write", 3, 3)]
    assert result.accuracy is None
    assert any("all the zeros" in warning for warning in result.warnings)


def test_a_layer_nobody_knows_is_named_with_the_nearest(sparse: Path) -> None:
    with pytest.raises(SettingsError, match=r"conv9.*conv\d"):
        ask("sparsify", sparse, {"track": "digits", "keep_layers": ["conv9"]})


def test_fine_tuning_that_fills_the_zeros_is_refused() -> None:
    with pytest.raises(ValueError, match="hold_zeros"):
        JOBS["sparsify"].settings.model_validate({"fine_tuning": {"hold_zeros": False}})


def test_with_a_journal_nothing_is_done_twice(digits: Digits, tmp_path: Path) -> None:
    path, settings = digits
    job = JOBS["sparsify"]
    asked = {"track": "digits", "architecture": settings["architecture"], "train_images": 256, "evaluate": False}
    given = job.settings.model_validate_json(json.dumps({**asked, "rounds": 2, "fine_tuning": {"epochs": 1}}))
    first = job.run(given, path, Context(None, "cpu", journal=tmp_path))
    entries = {entry.name: entry.stat().st_mtime_ns for entry in tmp_path.iterdir()}
    assert set(entries) == {"made-of", "sparsify", "round-1.fit", "round-2.fit"}
    assert job.run(given, path, Context(None, "cpu", journal=tmp_path)) == first
    assert {entry.name: entry.stat().st_mtime_ns for entry in tmp_path.iterdir()} == entries
