"""The table of operations that are written."""

from collections.abc import Iterable
from types import MappingProxyType

from micronet.graph.ir import Target
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
from micronet.onnx_writer.call import Writer, Writers


def merged(tables: Iterable[Writers]) -> Writers:
    """One table of all. ValueError if an operation stands in two."""
    result: dict[Target, Writer] = {}
    for table in tables:
        twice = result.keys() & table.keys()
        if twice:
            raise ValueError(f"The operation {next(iter(twice))} has two writers.")
        result.update(table)
    return MappingProxyType(result)


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
