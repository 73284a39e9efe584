"""What `import micronet` offers: a module, a file or a graph goes in; a score, a graph or a file comes out.

Keywords are the fields of the settings each function names, which check them and have the defaults: pydantic's
ValidationError for what they refuse. For networks it is MicronetError, each kind with what would be right; TypeError
for what is no network, and OSError for files that cannot be opened or written.
"""

import inspect
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from torch import Tensor, nn

from micronet.contract import (
    ArchitectureSettings,
    ArtifactFile,
    QuantizeSettings,
    QuantizingSettings,
    ScoreResult,
    ScoreSettings,
)
from micronet.errors import FINITE_MASK, ArchitectureNotAccepted, NotFinite, UnsupportedTensor
from micronet.graph.capture import capture as capture_module
from micronet.graph.ir import Graph
from micronet.graph.precision import in_float32
from micronet.jobs.artifact import write_network
from micronet.jobs.context import Context
from micronet.jobs.fuse import fuse_graph
from micronet.jobs.network import read_network
from micronet.jobs.quantize import quantize as quantize_file
from micronet.jobs.score import count_network
from micronet.jobs.score import score as score_network
from micronet.network_file import from_bytes
from micronet.tracks import track
from micronet.transformation.prepare import prepare

Network = nn.Module | Graph | str | os.PathLike[str]
"""A module with its weights, a graph, or the path of a checkpoint."""
Given = TypeVar("Given", bound=QuantizingSettings)
Function = TypeVar("Function", bound=Callable[..., Any])


def _with_fields_of(kind: type[QuantizingSettings]) -> Callable[[Function], Function]:
    """Have `help` and completion show the fields of `kind` among a function's keywords."""

    def shown(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        types = get_type_hints(kind)
        fields = [one.replace(annotation=types[one.name]) for one in inspect.signature(kind).parameters.values()]
        function.__signature__ = signature.replace(parameters=[*own, *fields])  # type: ignore[attr-defined]
        return function

    return shown


@_with_fields_of(ScoreSettings)
def score(
    network: Network,
    settings: ScoreSettings | Mapping[str, object] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "auto",
    **fields: Any,
) -> ScoreResult:
    """Score a network: quantize, fuse, count, measure accuracy; what `micronet score` does, and the same result.

    network    a module, whose images are the track's, (N, *input_shape) in float32, and whose answers are logits
               (N, classes): scored as it is in evaluation mode, and not changed; a graph; or a path, read as the
               command reads it (of a state dict, `architecture` says which network it is of)
    settings   a ScoreSettings; fields given as keywords win over it
    data_dir   where data sets lie; None: MICRONET_DATA's. Track `digits` needs none
    device     `auto`, `cpu`, `cuda` or `cuda:1`

    >>> score(network, track="digits", policy="challenge", bits=None).score.total  # doctest: +SKIP

    Raises ValidationError, MicronetError, OSError for a file that cannot be opened, TypeError for what is no network.
    """
    asked = _asked(ScoreSettings, settings, fields)
    context = _context(data_dir, device)
    with _float32_as_it_is():
        return score_network(asked, _taken(network, asked, context), context)


@_with_fields_of(ScoreSettings)
def count(
    network: Network | None = None,
    settings: ScoreSettings | Mapping[str, object] | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> ScoreResult:
    """What would a network cost? The same as `score` without images, and so without accuracy.

    network      as for `score`; None: the network that `architecture` names, with no weight zero
    input_shape  (channels, height, width) of the images of a module; None: the track's. For other images than the
                 track's the counts are right, and a warning in the result says that the score is of another task

    Raises what `score` raises, and TypeError for an `input_shape` of anything but a module.
    """
    asked = _asked(ScoreSettings, settings, fields)
    context = _context(data_dir)
    taken = None if network is None and input_shape is None else _taken(network, asked, context, input_shape)
    return count_network(asked, taken, context)


@_with_fields_of(QuantizeSettings)
def quantize(
    network: Network,
    settings: QuantizeSettings | Mapping[str, object] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "auto",
    **fields: Any,
) -> Graph:
    """The network on fixed-point grids, as the quantize job makes it; with `train`, having learned on them.

    `network`, `settings`, `data_dir` and `device` are as for `score`, `settings` a QuantizeSettings. The graph has
    widths of its own: score it with `bits=None`. What its owner should know is told as Python's warnings. Raises what
    `score` raises, and NotWritable for what a file of ONNX could not hold.
    """
    asked = _asked(QuantizeSettings, settings, fields)
    with tempfile.TemporaryDirectory() as folder, _float32_as_it_is():
        context = replace(_context(data_dir, device), outputs=Path(folder))
        taken = _taken(network, asked, context)
        file = taken if isinstance(taken, Path) else Path(folder, write(taken, Path(folder, "network.onnx")).name)
        result = quantize_file(asked, file, context)
        graph = from_bytes(Path(folder, result.artifact.name).read_bytes())
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=2)
    return graph


def capture(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """Graph of a module in evaluation mode, for float32 images (N, *input_shape) with N free.

    The graph has copies of the weights, on the CPU, and in float32 as those of a file: half, bfloat16 and double
    precision become it. The module stays as it is, and in the mode it is in; one that was compiled runs as written.

    Raises CaptureFailed for control flow that depends on data and for anything but one tensor (N, ...) as the answer,
    UnsupportedTensor for weights on the meta device and for complex numbers, NotFinite for NaN and infinity.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"a torch.nn.Module is captured, and this is {_called(module)}")
    with _evaluating(module), torch.compiler.set_stance("force_eager"):
        graph = capture_module(module, tuple(input_shape))
    weights = {name: _copied(graph, name, weight) for name, weight in graph.weights.items()}
    return in_float32(replace(graph, weights=weights)).on(torch.device("cpu"))


def read(
    path: str | os.PathLike[str], architecture: ArchitectureSettings | Mapping[str, object] | None = None
) -> Graph:
    """Graph of a checkpoint: ONNX, or the state dict of an `architecture`, as in `{"name": "pyramidnet"}`.

    What its owner should know, such as other state dicts in it, is told as Python's warnings. Raises CheckpointError,
    ArchitectureError, CaptureFailed, and OSError for a file that cannot be opened.
    """
    named = None if architecture is None else ArchitectureSettings.model_validate(architecture)
    graph, told = read_network(Path(path), named, None)
    for warning in told:
        warnings.warn(warning, stacklevel=2)
    return graph


def write(graph: Graph, path: str | os.PathLike[str]) -> ArtifactFile:
    """Write a graph as ONNX, whole or not at all, over what is there; says its name, SHA-256 and size in bytes.

    The file was read again, costs the same and answers the same. Raises NotWritable for what ONNX cannot say,
    UnknownOperation for what cannot be counted, and OSError, which names `path`, where no file can be written there.
    """
    place, prepared = Path(path), prepare(_graph(graph), fuse=False)
    try:
        return write_network(prepared, place.name, Context(outputs=place.parent))[0]
    except OSError as error:
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error


def fuse(graph: Graph) -> Graph:
    """The same function in fewer operations, as the fuse job makes it.

    Batch norms go into the layers beside them; channels that carry a constant, or that nobody reads, are taken out;
    linear layers in a row become one where that is cheaper. Raises UnknownOperation for what cannot be counted.
    """
    return fuse_graph(_graph(graph))[0]


def _asked(kind: type[Given], settings: Given | Mapping[str, object] | None, fields: Mapping[str, object]) -> Given:
    """The settings with fields in their place. Raises ValidationError."""
    given = {} if settings is None else dict(kind.model_validate(settings))
    return kind.model_validate({**given, **fields})


def _context(data_dir: str | os.PathLike[str] | None, device: str = "auto") -> Context:
    """As the command line has it: where no directory is given, the environment's."""
    where = os.environ.get("MICRONET_DATA") if data_dir is None else data_dir
    return Context(None if where is None else Path(where), device)


def _taken(
    network: Network | None,
    settings: QuantizingSettings,
    context: Context,
    input_shape: tuple[int, ...] | None = None,
) -> Path | Graph:
    """What jobs take: a module becomes a graph, for the track's images unless told.

    Raises ArchitectureNotAccepted where there is one beside a whole network, TypeError for what is none.
    """
    if isinstance(network, nn.Module | Graph) and settings.architecture is not None:
        raise ArchitectureNotAccepted(
            f"a module, or a graph, is a whole network; leave architecture {settings.architecture.name!r} out."
        )
    if isinstance(network, nn.Module):
        return capture(network, input_shape or track(settings.track, context.data_dir).input_shape)
    if input_shape is not None:
        raise TypeError("input_shape is for modules: a graph, a file or an architecture says what images it takes")
    if isinstance(network, Graph):
        return network
    if isinstance(network, str | os.PathLike):
        return Path(network)
    raise TypeError(f"a network is a torch.nn.Module, a path or a micronet.Graph, and this is {_called(network)}")


def _graph(graph: Graph) -> Graph:
    """What is one. Raises TypeError, which says how to come by one."""
    if isinstance(graph, Graph):
        return graph
    raise TypeError(
        f"a micronet.Graph is needed, and this is {_called(graph)}: micronet.capture(module, input_shape) makes one of "
        "a module, micronet.read(path) of a file"
    )


def _called(value: object) -> str:
    """How an error calls what it cannot use."""
    hint = "; a state dict is saved to a file, and `architecture` says which network it is of"
    return f"of type {type(value).__qualname__}" + (hint if isinstance(value, Mapping) else "")


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Every part of a module goes back to the mode it was in."""
    before = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def _copied(graph: Graph, name: str, weight: Tensor) -> Tensor:
    """A weight of its own memory, on the CPU; a floating-point one in float32."""
    if weight.is_meta:
        raise UnsupportedTensor(
            f"{name} is on the meta device and has no values: nothing of it can be counted. Load the weights; a list "
            "of places, as in x[:, [2, 0]], becomes x.index_select(1, torch.tensor([2, 0]))."
        )
    if weight.is_complex():
        raise UnsupportedTensor(f"{name} holds complex numbers: store their real and imaginary parts, and compute so.")
    kind = torch.float32 if weight.is_floating_point() else weight.dtype
    copy = weight.detach().to("cpu", kind, copy=True).contiguous()
    if name not in graph.literals and not bool(torch.isfinite(copy).all()):
        raise NotFinite(
            f"{name} holds NaN, infinity or more than float32 does: take the network before it diverged. {FINITE_MASK}"
        )
    return copy


@contextmanager
def _float32_as_it_is() -> Iterator[None]:
    """On CUDA no TF32 and no autotuned kernels, as in the processes of jobs; then as it was."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    meant = (
        (matmul, "fp32_precision", "ieee"),
        (cudnn.conv, "fp32_precision", "ieee"),
        (cudnn, "benchmark", False),
        (cudnn, "deterministic", True),
    )
    before = [(place, name, getattr(place, name)) for place, name, _ in meant]
    try:
        for place, name, value in meant:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
