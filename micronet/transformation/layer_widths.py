"""Widths of single layers, which are named as a score names them, or by how their names begin."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from micronet.errors import SettingsError

INPUT = "input"
"""What the network's input is called beside its layers: its grid has a width, too."""
_ANY = "*"


@dataclass(frozen=True, slots=True)
class LayerWidths:
    """Bits of a layer's parameters and of its output; None leaves either to the network's, 32 leaves it as it is."""

    weight_bits: int | None = None
    activation_bits: int | None = None


def fits(pattern: str, name: str) -> bool:
    """Whether `pattern` is the name, or, with a star at its end, how the name begins."""
    return name.startswith(beginning(pattern)) if pattern.endswith(_ANY) else name == pattern


def beginning(pattern: str) -> str:
    """How every name begins that `pattern` fits."""
    return pattern.removesuffix(_ANY)


def nearest(pattern: str, known: Iterable[str]) -> str:
    """Of the `known` names, of which there is one at least, the one that is most like it."""
    return difflib.get_close_matches(beginning(pattern), known, n=1, cutoff=0)[0]


def widths_of(layers: Mapping[str, LayerWidths], name: str) -> LayerWidths:
    """What the pattern that fits and says most of the name gives it: the name itself, else the longest prefix."""
    fitting = [pattern for pattern in layers if fits(pattern, name)]
    longest = max(fitting, key=lambda pattern: (not pattern.endswith(_ANY), len(pattern)), default=None)
    return LayerWidths() if longest is None else layers[longest]


def check_layers(
    layers: Mapping[str, LayerWidths], known: Collection[str], storing: Collection[str], computing: Collection[str]
) -> None:
    """Raise SettingsError where a pattern fits none of the `known` names, or gives a width that nothing there has.

    `storing` are the layers with parameters, `computing` those whose output has a grid of its own, the input included.
    """
    everything = {INPUT: None, **dict.fromkeys(known)}
    for pattern, widths in layers.items():
        if not any(fits(pattern, name) for name in everything):
            raise SettingsError(
                f"layers: no layer is called {pattern}; the nearest is {nearest(pattern, everything)}. A score lists "
                "the names; a star at the end stands for whatever follows."
            )
        for bits, having, what, why in (
            (widths.weight_bits, storing, "param_bits", "stores no parameters of its own"),
            (widths.activation_bits, computing, "mul_bits", "passes on values that are on the grid of another"),
        ):
            if bits is not None and not any(fits(pattern, name) for name in having):
                raise SettingsError(f"layers: {what} for {pattern}, which {why}. Leave it out there.")
