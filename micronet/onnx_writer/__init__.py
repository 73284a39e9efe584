"""The graph as an ordinary ONNX file that keeps its widths: `write_graph`, or `encode` for the bytes."""

from micronet.onnx_writer.table import WRITERS
from micronet.onnx_writer.writing import OPSET, encode, to_model, write_graph

__all__ = ["OPSET", "WRITERS", "encode", "to_model", "write_graph"]
