"""From a file to the graph that is scored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from micronet.analysis.shapes import shapes
from micronet.architectures import find_architecture
from micronet.architectures.load import load_network, sketch_network
from micronet.checkpoints import OnnxModel, read_checkpoint
from micronet.contract import ArchitectureSettings
from micronet.data.split import normalize
from micronet.errors import ArchitectureNotAccepted, ArchitectureRequired, ImagesMix, NumericalError, SettingsError
from micronet.evaluation.lowering import lower
from micronet.evaluation.threads import in_order
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.tracks import Track


def read_network(
    path: Path, architecture: ArchitectureSettings | None, activation_bits: int | None
) -> tuple[Graph, tuple[str, ...]]:
    """Graph of the checkpoint at `path`, and what its reader should know.

    `activation_bits` is for files that bring exponents for their activations (SCORING section 7). Raises
    ArchitectureRequired, ArchitectureNotAccepted, and what reading, loading and capturing raise.
    """
    checkpoint = read_checkpoint(path)
    if isinstance(checkpoint, OnnxModel):
        if architecture is not None:
            raise ArchitectureNotAccepted(
                f"an ONNX file holds its whole network; leave architecture {architecture.name!r} out."
            )
        return import_graph(checkpoint.model), ()
    if architecture is None:
        raise ArchitectureRequired(
            f"the file is a state dict ({checkpoint.container}, {len(checkpoint.tensors)} tensors), which does not say "
            'what network it is of. Name it, as in {"name": "pyramidnet", "options": {}}; '
            "`micronet architectures` lists the names, or upload ONNX."
        )
    network = load_network(architecture.name, architecture.options, checkpoint.tensors, activation_bits)
    options = find_architecture(architecture.name).parse(architecture.options)
    return capture(network, options.input_shape), checkpoint.warnings


def dense_network(name: str, options: Mapping[str, object]) -> Graph:
    """Graph of a network of our own with every weight 1 (and running means 0): none is zero, so all of it counts."""
    shape = find_architecture(name).parse(options).input_shape
    graph = capture(sketch_network(name, options), shape)
    filled = {
        key: torch.zeros(weight.shape) if key.endswith("running_mean") else torch.ones(weight.shape)
        for key, weight in graph.weights.items()
    }
    return replace(graph, weights=filled)


def check_fits(graph: Graph, track: Track) -> None:
    """Raise SettingsError unless the graph takes the track's images and answers with one logit per class."""
    if graph.input_shape != track.input_shape:
        raise SettingsError(
            f"the network takes images of shape {graph.input_shape}, and track {track.name!r} has {track.input_shape}. "
            "Choose another track, or export the network for this input."
        )
    logits = shapes(graph)[graph.output]
    if logits != (1, track.classes):
        raise SettingsError(
            f"the network answers with shape {logits} for one image, and track {track.name!r} needs "
            f"(1, {track.classes}): one logit per class."
        )


def check_images_stand_alone(graph: Graph, mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise ImagesMix where the answer for one image depends on the others in its batch.

    Costs are counted for one image, so a mean or a softmax over the batch would be measured and not counted. Of three
    images the outer two, then the inner one are replaced; what the others give must stay the same to the last bit.
    Their pixels are random, and normalized by `mean` and `std` as those of data are: some networks give numbers for
    such images only. Raises NumericalError where this one gives none, of which nothing can be told.
    """
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (2, 3, *graph.input_shape), generator=generator, dtype=torch.uint8)
    images, others = (normalize(each, mean, std) for each in pixels)
    inner = torch.tensor([False, True, False])
    mixtures = [torch.where(kept.view(-1, 1, 1, 1), images, others) for kept in (inner, ~inner)]
    answers, *mixed = in_order(lower(graph, len(images)).run, [images, *mixtures])
    if not all(bool(torch.isfinite(answer).all()) for answer in (answers, *mixed)):
        raise NumericalError(
            "the network gives NaN or infinity for images of random pixels. Check normalization and weights, and "
            "whether the running statistics of batch norms are what training left."
        )
    for kept, answer in zip((inner, ~inner), mixed, strict=True):
        if not torch.equal(answer[kept], answers[kept]):
            raise ImagesMix(
                "what the network answers for an image depends on the other images of its batch. Scores are per image: "
                "take means, maxima and softmax over the axes behind the first."
            )
