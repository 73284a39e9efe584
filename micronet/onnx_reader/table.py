"""The table of ONNX operations that are read."""

from collections.abc import Iterable
from types import MappingProxyType

from micronet.onnx_reader import (
    activations,
    attention,
    blocks,
    constants,
    elementwise,
    indexing,
    joining,
    linear,
    logic,
    normalization,
    padding,
    pooling,
    quantization,
    reductions,
    resizing,
    shapes,
)
from micronet.onnx_reader.call import Importer, Importers


def merged(tables: Iterable[Importers]) -> Importers:
    """One table of all. ValueError if an operation stands in two."""
    result: dict[str, Importer] = {}
    for table in tables:
        twice = result.keys() & table.keys()
        if twice:
            raise ValueError(f"The ONNX operation {min(twice)} has two importers.")
        result.update(table)
    return MappingProxyType(result)


IMPORTERS: Importers = merged(
    module.IMPORTERS
    for module in (
        activations,
        attention,
        blocks,
        constants,
        elementwise,
        indexing,
        joining,
        linear,
        logic,
        normalization,
        padding,
        pooling,
        quantization,
        reductions,
        resizing,
        shapes,
    )
)
"""ONNX operation -> importer. An operation without a row is refused by name."""
