"""Magnitude pruning of single weights: the smallest become zero (Han et al. 2015, arXiv 1506.02626)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal

import torch
from torch import Tensor

from micronet.analysis.counts import layer_names
from micronet.errors import SettingsError
from micronet.graph.ir import Graph
from micronet.training.network import factor_names

Scope = Literal["global", "layer", "normalized"]


def set_smallest_to_zero(graph: Graph, sparsity: float, scope: Scope = "global", kept: Iterable[str] = ()) -> Graph:
    """The graph whose weights of dot products, those named in `kept` aside, are zero to the share `sparsity`.

    global      the round(sparsity * weights) smallest magnitudes of all layers together are zero then
    layer       the same, each layer for itself
    normalized  as global, each layer's weights divided by their root mean square before they are compared

    Of equal magnitudes those that come first, in the order of the graph, go first. Zeros stay zero: a network that has
    more of them than it is asked for is given back as it is. Biases and batch norms are left alone.
    """
    weights = _without(graph, kept)
    if not weights:
        return graph
    return replace(graph, weights={**graph.weights, **_SCOPES[scope](weights, sparsity)})


def sparse_weights(graph: Graph) -> dict[str, str]:
    """Weights that are multiplied in dot products, in the order of the graph: the layer of each, by weight name."""
    factors, layers = factor_names(graph) - graph.literals, layer_names(graph)
    found: dict[str, str] = {}
    for node in graph.nodes:
        for ref in node.refs():
            if ref.name in factors and node.name in layers and graph.weights[ref.name].is_floating_point():
                found.setdefault(ref.name, layers[node.name])
    return found


def kept_weights(graph: Graph, names: Sequence[str]) -> frozenset[str]:
    """The weights that `names`, of layers or of weights, stand for. Raises SettingsError for a name nothing has."""
    layers = sparse_weights(graph)
    known = {*layers, *layers.values()}
    for name in names:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"{next(iter(layers.values()), 'nothing')!r} is one there is."
            )
            raise SettingsError(f"keep_layers: no layer with weights is called {name!r}; {hint}")
    return frozenset(weight for weight, layer in layers.items() if weight in names or layer in names)


def share_of_zeros(graph: Graph, kept: Iterable[str] = ()) -> float:
    """Zeros among the weights of dot products, those named in `kept` aside, as a share of these; 0 where none are."""
    weights = _without(graph, kept).values()
    elements = sum(weight.numel() for weight in weights)
    return sum(int((weight == 0).sum()) for weight in weights) / elements if elements else 0.0


def least_share_of_zeros(graph: Graph, kept: Iterable[str] = ()) -> float:
    """The share of the layer that has the fewest, those of `kept` aside; 0 where there are none."""
    weights = _without(graph, kept).values()
    return min((int((weight == 0).sum()) / max(1, weight.numel()) for weight in weights), default=0.0)


def _without(graph: Graph, kept: Iterable[str]) -> dict[str, Tensor]:
    """The weights of dot products but those named in `kept`, by name."""
    left_alone = frozenset(kept)
    return {name: graph.weights[name] for name in sparse_weights(graph) if name not in left_alone}


def _together(weights: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    return _smallest_gone(weights, [weight.abs().flatten() for weight in weights.values()], sparsity)


def _by_layer(weights: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    return {name: _together({name: weight}, sparsity)[name] for name, weight in weights.items()}


def _normalized(weights: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    return _smallest_gone(weights, [_over_root_mean_square(weight) for weight in weights.values()], sparsity)


def _over_root_mean_square(weight: Tensor) -> Tensor:
    """Magnitudes (elements,); of a layer of zeros only, they are zeros."""
    magnitudes = weight.double().abs().flatten()
    size = magnitudes.square().mean().sqrt()
    return magnitudes / size if size > 0 else magnitudes


def _smallest_gone(weights: Mapping[str, Tensor], magnitudes: Sequence[Tensor], sparsity: float) -> dict[str, Tensor]:
    """`weights` without the round(sparsity * elements) that have the smallest of `magnitudes`; a stable sort."""
    everything = torch.cat(list(magnitudes))
    zeros = round(sparsity * len(everything))
    stays = torch.ones(len(everything), dtype=torch.bool)
    stays[torch.sort(everything, stable=True).indices[:zeros]] = False
    parts = torch.split(stays, [weight.numel() for weight in weights.values()])
    return {
        name: torch.where(part.view(weight.shape), weight, 0.0)
        for (name, weight), part in zip(weights.items(), parts, strict=True)
    }


_SCOPES: Mapping[Scope, Callable[[Mapping[str, Tensor], float], dict[str, Tensor]]] = {
    "global": _together,
    "layer": _by_layer,
    "normalized": _normalized,
}
