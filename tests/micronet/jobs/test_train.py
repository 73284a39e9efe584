"""The train job on fresh networks: what is zero where they start learns like the rest."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from micronet.architectures.load import create_network
from micronet.contract import PipelineSettings, TrainSettings
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
