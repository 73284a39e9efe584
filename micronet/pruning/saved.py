"""A graph as an entry of a journal holds it: the bytes of its ONNX file, in a tensor."""

import torch
from onnx import ModelProto
from torch import Tensor

from micronet.graph.ir import Graph
from micronet.jobs.network import prepare
from micronet.onnx_reader import import_graph
from micronet.onnx_writer import encode


def to_bytes(graph: Graph) -> Tensor:
    """uint8 (bytes,). Raises NotWritable for what ONNX cannot say."""
    return torch.frombuffer(bytearray(encode(graph)), dtype=torch.uint8)


def from_bytes(data: Tensor) -> Graph:
    """The graph again, batch norms as they are; layers and weights keep their names, and weights their bits."""
    model = ModelProto()
    model.ParseFromString(data.numpy().tobytes())
    return prepare(import_graph(model), fuse=False)
