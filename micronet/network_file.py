"""A network as the bytes of its file, and the network again as whoever reads that file gets it."""

from onnx import ModelProto

from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.onnx_writer import encode
from micronet.transformation.prepare import prepare


def to_bytes(graph: Graph) -> bytes:
    """An ONNX file; the same graph gives the same bytes. Raises NotWritable for what ONNX cannot say."""
    return encode(graph)


def from_bytes(data: bytes) -> Graph:
    """The graph of a file we wrote, batch norms as they are; layers and weights keep names, weights their bits."""
    model = ModelProto()
    model.ParseFromString(data)
    return prepare(import_graph(model), fuse=False)
