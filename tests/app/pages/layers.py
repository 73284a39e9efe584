"""Layers of results, with numbers a test can add up in its head."""

from micronet.contract import Charges, Layer


def layer(
    name: str,
    *,
    multiplications: int = 0,
    additions: int = 0,
    math: float = 0.0,
    storage: float = 0.0,
    charged: Charges | None = None,
) -> Layer:
    """One layer; what is not said is nothing."""
    return Layer(
        name=name,
        op="conv2d",
        shape=(8, 4, 4),
        multiplications=multiplications,
        additions=additions,
        parameters=0,
        nonzero=0,
        weight_bits=9,
        activation_bits=12,
        math=math,
        storage=storage,
        charged=charged,
    )
