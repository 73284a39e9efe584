"""What the tests of the writer share: graphs to write, the way there and back, and what must survive it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from micronet.analysis.counts import Counts, LayerCounts, count
from micronet.architectures import find_architecture
from micronet.architectures.load import create_network
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.onnx_writer import to_model
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_activations, quantize_weights
from micronet.transformation.ranges import Observer

NETWORKS: Mapping[str, Mapping[str, object]] = {
    "digits": {},
    "wideresnet": {"depth": 10, "width": 1},
    "pyramidnet": {"depth": 29, "alpha": 12},
    "mobilenetv2": {"image_size": 64, "width_multiplier": 0.5, "num_classes": 10},
    "efficientnet": {"image_size": 64, "num_classes": 10},
    "densenet": {"depth": 22},
    "resnet_cifar": {"depth": 20},
    "resnet": {"depth": 18, "image_size": 64, "num_classes": 10},
}


def trained_looking_(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms get statistics that are not the identity; in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-0.3, 0.3, generator=generator)
            part.running_var.uniform_(0.5, 2.0, generator=generator)
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(part.bias, -0.5, 0.5, generator=generator)
    return module.eval()


def captured(name: str) -> Graph:
    """A network of the library with random weights."""
    options = NETWORKS[name]
    module = trained_looking_(create_network(name, options, 0))
    return capture(module, find_architecture(name).parse(options).input_shape)


def images(graph: Graph, count: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(count, *graph.input_shape, generator=torch.Generator().manual_seed(seed))


def quantized(graph: Graph, how: Quantization) -> Graph:
    """The graph on grids placed by a few random images."""

    def calibrate(graph: Graph, observers: Mapping[str, Observer]) -> None:
        batch = images(graph, 2, 7)
        shown: dict[str, object] = {graph.input: batch}
        interpret(graph, batch, lambda node, value: shown.update({node.name: value}))
        for name, observer in observers.items():
            value = shown[name]
            assert isinstance(value, Tensor)
            observer.take(observer.measure(value.reshape(1, -1)))

    return quantize_activations(quantize_weights(graph, how), how, calibrate)


def back(graph: Graph, fuse: bool = True) -> Graph:
    """The graph, written, read, and prepared as a score job does."""
    return prepare(import_graph(to_model(graph)), fuse)


def facts(graph: Graph) -> tuple[object, ...]:
    """All that is counted, save what tensors are called."""
    counts: Counts = count(graph)

    def unnamed(layer: LayerCounts) -> LayerCounts:
        return replace(layer, parameters=tuple(replace(parameter, name="") for parameter in layer.parameters))

    return tuple(map(unnamed, counts.layers)), counts.quantized, counts.mtas_bytes


def by_onnxruntime(graph: Graph, batch: Tensor) -> np.ndarray:
    """Logits by onnxruntime, of the file that would be written."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(to_model(graph).SerializeToString(), options)
    (logits,) = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
    assert isinstance(logits, np.ndarray)
    return logits
