"""What the fuse job does beyond batch norms: channels that do nothing go, layers in a row become one."""

from dataclasses import dataclass

from micronet.graph.ir import Graph
from micronet.transformation.constant_channels import RemovedChannels, remove_channels, summed
from micronet.transformation.merge_linear import MergedLayer, merge_linear_layers


@dataclass(frozen=True, slots=True)
class FusedLayers:
    """A graph, and what was done to it."""

    graph: Graph
    merged: tuple[MergedLayer, ...] = ()
    removed: tuple[RemovedChannels, ...] = ()


def fuse_layers(graph: Graph) -> FusedLayers:
    """The same function to rounding, never at a higher cost; repeated until nothing changes.

    Expects batch norms merged and operations that do nothing dropped: both hide what is in a row.
    """
    merged: tuple[MergedLayer, ...] = ()
    removed: tuple[RemovedChannels, ...] = ()
    while True:
        smaller, channels = remove_channels(graph)
        fewer, layers = merge_linear_layers(smaller)
        if not channels and not layers:
            return FusedLayers(graph, merged, summed(removed))
        graph, merged, removed = fewer, merged + layers, removed + channels
