"""The table of ONNX operations that are read."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

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
from micronet.onnx_reader.call import Importers

Key = TypeVar("Key")
Row = TypeVar("Row")


def merged(tables: Iterable[Mapping[Key, Row]]) -> Mapping[Key, Row]:
    """One table of all. ValueError if an operation stands in two."""
    result: dict[Key, Row] = {}
    for table in tables:
        if twice := result.keys() & table.keys():
            raise ValueError(f"The operation {next(iter(twice))} has two rows.")
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
