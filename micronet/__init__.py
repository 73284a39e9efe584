"""Counting, compressing and scoring efficient networks: the library, which knows no web framework and no queue.

    >>> import micronet
    >>> micronet.score(module, track="cifar100", policy="challenge", bits=None)  # doctest: +SKIP

Importing it does nothing: a name is fetched when it is first used, and torch with those that need it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from micronet.contract import (
        ArchitectureSettings,
        BitWidths,
        LayerBits,
        Normalization,
        QuantizerSettings,
        QuantizeSettings,
        ScoreResult,
        ScoreSettings,
    )
    from micronet.errors import MicronetError
    from micronet.graph.ir import Graph
    from micronet.library import capture, count, fuse, quantize, read, score, write

__all__ = [
    "ArchitectureSettings",
    "BitWidths",
    "Graph",
    "LayerBits",
    "MicronetError",
    "Normalization",
    "QuantizeSettings",
    "QuantizerSettings",
    "ScoreResult",
    "ScoreSettings",
    "capture",
    "count",
    "fuse",
    "quantize",
    "read",
    "score",
    "write",
]

if not TYPE_CHECKING:  # else a type checker would believe in any name
    from importlib import import_module as _import

    _HOMES = {
        "Graph": "micronet.graph.ir",
        "MicronetError": "micronet.errors",
        **dict.fromkeys(("capture", "count", "fuse", "quantize", "read", "score", "write"), "micronet.library"),
    }

    def __getattr__(name):
        """A name of `__all__`, from where it lives."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_import(_HOMES.get(name, "micronet.contract")), name)
        return value

    def __dir__():
        """Its names, those that nobody used yet among them."""
        return sorted({*globals(), *__all__})
