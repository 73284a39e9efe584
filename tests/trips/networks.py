"""Networks on the digits track whose evaluation takes as long, or as much memory, as a test wants."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNQUANTIZED = '{"track": "digits", "policy": "challenge", "bits": null}'


def write_slow(path: Path, layers: int, channels: int = 256) -> Path:
    """`layers` convolutions that share one weight: a small file, and 38 million multiplications a layer and image."""
    nodes = [*_slow_nodes(layers), helper.make_node("Gemm", ["flat", "last"], ["logits"], transB=1)]
    return save(path, nodes, _slow_weights(channels))


def write_heavy(path: Path, layers: int, width: int) -> Path:
    """The same with a layer of `width` between pooling and logits, each unit of it 1,064 bytes of file."""
    weights = _slow_weights(channels=256)
    random = np.random.default_rng(1)
    weights["wide"] = random.normal(0, 0.1, (width, 256)).astype(np.float32)
    weights["last"] = random.normal(0, 0.1, (10, width)).astype(np.float32)
    nodes = [*_slow_nodes(layers), helper.make_node("Gemm", ["flat", "wide"], ["broad"], transB=1)]
    nodes.append(helper.make_node("Gemm", ["broad", "last"], ["logits"], transB=1))
    return save(path, nodes, weights)


def write_greedy(path: Path, factor: int, copies: int = 1) -> Path:
    """`copies` values, all alive at once, of 64 * `factor` floats an image: a few hundred bytes ask for any memory."""
    weights = {
        "repeats": np.array([1, 1, factor, 1], dtype=np.int64),
        "last": np.ones((10, 1), dtype=np.float32),
    }
    nodes = [helper.make_node("Tile", ["image", "repeats"], ["long"])]
    for copy in range(copies):
        nodes.append(helper.make_node("LeakyRelu", ["long"], [f"copy{copy}"], alpha=0.1 + copy / 1000))
    nodes += [
        helper.make_node("Sum", [f"copy{copy}" for copy in range(copies)], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "last"], ["logits"], transB=1),
    ]
    return save(path, nodes, weights)


def _slow_weights(channels: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    deep = random.normal(0, (2 / (9 * channels)) ** 0.5, (channels, channels, 3, 3)).astype(np.float32)
    return {
        "first": random.normal(0, 0.5, (channels, 1, 3, 3)).astype(np.float32),
        "deep": deep,
        "last": random.normal(0, 0.1, (10, channels)).astype(np.float32),
    }


def _slow_nodes(layers: int) -> list[onnx.NodeProto]:
    nodes = [helper.make_node("Conv", ["image", "first"], ["x0"], pads=[1, 1, 1, 1])]
    for layer in range(layers):
        nodes.append(helper.make_node("Conv", [f"x{layer}", "deep"], [f"y{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}"]))
    nodes.append(helper.make_node("GlobalAveragePool", [f"x{layers}"], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    return nodes


def save(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> Path:
    """A file of `nodes`, from `image` (N, 1, 8, 8) to `logits` (N, 10)."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path
