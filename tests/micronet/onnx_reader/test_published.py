"""Published entries of the challenge: the graph says what onnxruntime says, with the parameters that were counted."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from micronet.graph.interpret import interpret
from micronet.onnx_reader import import_graph, load_model

CHECKPOINTS = Path(__file__).parents[4] / "shared" / "checkpoints"

# file -> elements of convolution and linear kernels, non-zero ones, other parameters (SCORING section 4)
COUNTED = {
    "kaist_v2_pr15.onnx": (463_464, 393_525, 7_539),
    "kaist_v2_pr45.onnx": (463_464, 253_391, 7_539),
    "osi_60_folded.onnx": (467_824, 187_130, 9_160),
    "osi_60.onnx": (467_824, 187_130, 27_784),  # four vectors per batch norm, not yet merged
}


def entry(name: str) -> Path:
    path = CHECKPOINTS / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


@pytest.mark.parametrize("name", COUNTED)
def test_agrees_with_onnxruntime(name: str) -> None:
    path = entry(name)
    graph = import_graph(load_model(path))
    session = onnxruntime.InferenceSession(path)
    for batch in (1, 3):
        images = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
        right = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
        np.testing.assert_allclose(interpret(graph, images).numpy(), right, atol=1e-4)


@pytest.mark.parametrize("name", COUNTED)
def test_has_the_counted_parameters(name: str) -> None:
    graph = import_graph(load_model(entry(name)))
    assert not graph.literals
    kernels = [weight for weight in graph.weights.values() if weight.dim() > 1]
    others = [weight for weight in graph.weights.values() if weight.dim() == 1]
    nonzero = sum(int(weight.count_nonzero()) for weight in kernels)
    found = (sum(weight.numel() for weight in kernels), nonzero, sum(weight.numel() for weight in others))
    assert found == COUNTED[name]
    assert graph.input_shape == (3, 32, 32)
