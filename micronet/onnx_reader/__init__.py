"""ONNX files, read into the one graph: `load_model` checks a file, `import_graph` reads it."""

from micronet.onnx_reader.importing import import_graph
from micronet.onnx_reader.loading import load_model
from micronet.onnx_reader.table import IMPORTERS
from micronet.onnx_reader.targets import EMITS

__all__ = ["EMITS", "IMPORTERS", "import_graph", "load_model"]
