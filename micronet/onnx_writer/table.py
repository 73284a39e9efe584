"""The table of operations that are written."""

from micronet.onnx_reader.table import merged
from micronet.onnx_writer import (
    activations,
    elementwise,
    indexing,
    joining,
    linear,
    normalization,
    padding,
    pooling,
    quantization,
    resizing,
    shapes,
)
from micronet.onnx_writer.call import Writers

WRITERS: Writers = merged(
    module.WRITERS
    for module in (
        activations,
        elementwise,
        indexing,
        joining,
        linear,
        normalization,
        padding,
        pooling,
        quantization,
        resizing,
        shapes,
    )
)
"""Operation -> writer. An operation without a row is refused by name."""
