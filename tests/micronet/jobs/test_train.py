"""The train job on fresh networks: what is zero where they start learns like the rest."""

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import nn

from micronet.architectures.load import create_network
from micronet.contract import AugmentSettings, PipelineSettings, TrainSettings
from micronet.errors import NotWritable, UnknownOperation
from micronet.jobs import JOBS, Context
from micronet.onnx_reader import import_graph, load_model

LEARNING: dict[str, Any] = {
    "epochs": 1,
    "batch": 64,
    "learning_rate": 0.1,
    "augmentation": {"crop": 0, "flip": False, "policy": "none"},
}
FRESH: dict[str, Any] = {"track": "digits", "architecture": {"name": "digits", "options": {}}}


@pytest.mark.parametrize("kind", ["train", "pipeline"])
def test_a_layer_that_starts_at_zero_learns(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_zeros(name: str, options: Any, seed: int) -> nn.Module:
        network = create_network(name, options, seed)
        nn.init.zeros_(network.get_submodule("fc").weight)  # type: ignore[arg-type]
        return network

    monkeypatch.setattr("micronet.jobs.learning.create_network", with_zeros)
    if kind == "train":
        JOBS["train"].run(TrainSettings.model_validate(FRESH | LEARNING), None, Context(device="cpu", outputs=tmp_path))
    else:
        asked = PipelineSettings.model_validate(FRESH | {"stages": [{"stage": "train", **LEARNING}]})
        JOBS["pipeline"].run(asked, None, Context(device="cpu", outputs=tmp_path))
    (file,) = tmp_path.iterdir()
    graph = import_graph(load_model(file))
    assert all(torch.count_nonzero(weight) for weight in graph.weights.values())


class Reached(Exception):
    pass


class Unlike(nn.Module):
    """A network for digits with an operation of its own in the middle."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.conv, self.own, self.fc = nn.Conv2d(1, 4, 3), own, nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.own(self.conv(x)).mean((2, 3)))
        return logits


TRAIN: dict[str, Any] = {"stage": "train", **LEARNING}
UNWRITABLE = (nn.AdaptiveAvgPool2d(4), NotWritable, "means of unequal parts")
UNCOUNTABLE = (nn.ConvTranspose2d(4, 4, 1), UnknownOperation, "conv_transpose2d")


@pytest.mark.parametrize("kind", ["train", "pipeline"])
@pytest.mark.parametrize("case", [UNWRITABLE, UNCOUNTABLE])
def test_a_network_that_no_file_can_hold_is_refused_before_it_learns(
    kind: str, case: tuple[nn.Module, type[Exception], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, error, words = case
    monkeypatch.setattr("micronet.jobs.learning.create_network", lambda *_: Unlike(own))
    asked = JOBS[kind].settings.model_validate(FRESH | (LEARNING if kind == "train" else {"stages": [TRAIN]}))
    with pytest.raises(error, match=words):
        JOBS[kind].run(asked, None, Context(device="cpu", journal=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_too_large_for_a_file_is_refused_before_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micronet.onnx_writer.writing.MAX_BYTES", 1000)
    with pytest.raises(NotWritable, match="files of at most 1,000 are read again"):
        JOBS["train"].run(TrainSettings.model_validate(FRESH | LEARNING), None, Context(device="cpu", journal=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_search_for_a_policy_writes_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micronet.jobs.learning.create_network", lambda *_: Unlike(UNWRITABLE[0]))
    monkeypatch.setattr("micronet.jobs.augment.search", MagicMock(side_effect=Reached))
    with pytest.raises(Reached):
        JOBS["augment"].run(AugmentSettings.model_validate(FRESH), None, Context(device="cpu"))


def test_a_network_ends_with_the_largest_value_of_each_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micronet.jobs.learning.create_network", lambda *_: Unlike(nn.AdaptiveMaxPool2d(1)))
    JOBS["train"].run(TrainSettings.model_validate(FRESH | LEARNING), None, Context(device="cpu", outputs=tmp_path))
    assert (tmp_path / "trained.onnx").exists()
