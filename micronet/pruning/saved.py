"""A graph as an entry of a journal holds it: the bytes of its ONNX file, in a tensor."""

from torch import Tensor

from micronet import network_file
from micronet.graph.ir import Graph
from micronet.journal import bytes_of, tensor_of
from micronet.transformation.linear_over_axes import linear_over_axes


def to_bytes(graph: Graph) -> Tensor:
    """uint8 (bytes,). Raises NotWritable for what ONNX cannot say."""
    return tensor_of(network_file.to_bytes(graph))


def from_bytes(data: Tensor) -> Graph:
    """The graph again, and its linear layers as they were: a file has reshapes around those over more than two axes."""
    return linear_over_axes(network_file.from_bytes(bytes_of(data)))
