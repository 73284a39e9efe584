"""The widths a network brings itself, read off the layers of its score."""

from collections.abc import Sequence

from micronet.contract.results import Layer

DOT_PRODUCTS = frozenset({"conv1d", "conv2d", "linear", "matmul", "mm", "addmm"})
"""Operations that `report` declares one width of values for; a test holds them to the library's, which needs torch."""


def own_widths(layers: Sequence[Layer]) -> tuple[int | None, int | None]:
    """Bits of the widest weights that are stored, and of the widest values that enter a dot product; None without any.

    What `report` takes a network to declare that brings grids of its own; 32 for one that brings none.
    """
    weights = (layer.weight_bits for layer in layers if layer.parameters and layer.weight_bits is not None)
    values = (layer.activation_bits for layer in layers if layer.op in DOT_PRODUCTS)
    return max(weights, default=None), max(values, default=None)
