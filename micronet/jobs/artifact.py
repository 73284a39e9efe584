"""The network a job leaves behind, written as ONNX and read again before anybody relies on it."""

import hashlib
import math
from pathlib import Path

import torch
from torch import Tensor

from micronet.analysis.counts import Counts, LayerCounts, count
from micronet.contract import ArtifactFile
from micronet.errors import NotWritable
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs.context import Context
from micronet.network_file import from_bytes, to_bytes

PROBES = 2
"""Random images that the network and its file must agree on."""
TOLERANCE = 0.01
"""Of the largest logit: a sum in another order may fall to the other side of a step."""


def write_artifact(graph: Graph, name: str, context: Context) -> ArtifactFile:
    """`graph` as the file `name` in the job's outputs, if there are any. Raises what `write_network` raises."""
    return write_network(graph, name, context)[0]


def write_network(graph: Graph, name: str, context: Context) -> tuple[ArtifactFile, bytes]:
    """The same, and the bytes of the file.

    Raises NotWritable for what ONNX cannot say, and where the file would count or answer differently when read.
    """
    data = to_bytes(graph)
    check_same(graph, from_bytes(data))
    return write_file(data, name, context), data


def write_file(data: bytes, name: str, context: Context) -> ArtifactFile:
    """`data` as the file `name` in the job's outputs, if there are any."""
    if context.outputs is not None:
        put_output(context.outputs, name, data)
    return ArtifactFile(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def put_output(outputs: Path, name: str, data: bytes) -> None:
    """Write a file of a job's outputs, whole or not at all: until it is finished its name begins with a dot."""
    unfinished = outputs / f".{name}"
    try:
        unfinished.write_bytes(data)
        unfinished.replace(outputs / name)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def check_same(graph: Graph, again: Graph) -> None:
    """Raise NotWritable unless both cost the same, layer by layer, and give the same finite answers to rounding."""
    ours, theirs = count(graph), count(again)
    pairs = zip(ours.layers, theirs.layers, strict=False)
    odd = next((one for one, other in pairs if _costs(one) != _costs(other)), None)
    if odd is not None or len(ours.layers) != len(theirs.layers) or _whole(ours) != _whole(theirs):
        where = "" if odd is None else f" ({odd.name}, {odd.op})"
        raise NotWritable(f"the network would count differently once written as ONNX{where}.")
    images = random_images(graph, PROBES)
    before, after = interpret(graph, images), interpret(again, images)
    largest, difference = float(before.abs().max()), float((before - after).abs().max())
    if not math.isfinite(largest):
        raise NotWritable(
            "the network's own answers are infinite or no numbers, so nothing tells whether a file agrees."
        )
    if not difference <= TOLERANCE * largest:  # a difference that is no number is none of rounding
        raise NotWritable("the network would answer differently once written as ONNX.")


def random_images(graph: Graph, count: int) -> Tensor:
    """The same standard normal numbers every time, (count, *input_shape)."""
    return torch.randn(count, *graph.input_shape, generator=torch.Generator().manual_seed(0))


def _costs(layer: LayerCounts) -> tuple[object, ...]:
    parameters = sorted((p.elements, p.nonzero, p.bits, p.exponents, p.scale_bits) for p in layer.parameters)
    widths = (layer.weight_bits, layer.activation_bits, layer.binary, layer.exponents, layer.accumulator_bits)
    return (layer.name, layer.operations, parameters, *widths)


def _whole(counts: Counts) -> tuple[object, ...]:
    return counts.quantized, counts.mtas_bytes
