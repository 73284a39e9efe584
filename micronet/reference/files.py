"""How files are read, from the tables of the readers."""

import inspect
from collections.abc import Mapping
from dataclasses import fields

import torch

from micronet.architectures import load
from micronet.architectures.wavecomp import Layout, layout_of
from micronet.checkpoints import Limits
from micronet.checkpoints.pickle_calls import CALLS
from micronet.checkpoints.pickle_globals import STORAGES
from micronet.checkpoints.safetensors_file import DTYPES
from micronet.checkpoints.sniffing import MISTAKES, Format
from micronet.checkpoints.state_dict import PREFIXES, WRAPPERS
from micronet.checkpoints.tensor_claims import FLOATS, INTEGERS
from micronet.checkpoints.tensors import INTEGER_BUFFERS
from micronet.checkpoints.zip_kinds import KINDS
from micronet.contract.words import words_of_fields
from micronet.onnx_reader import IMPORTERS, checking, loading, values, wire
from micronet.reference.costs import docstrings_of_constants
from micronet.reference.values import CheckpointFacts, Fact, Limit, OnnxFacts

_CONTAINERS: Mapping[Format, str] = {
    Format.PYTORCH_ZIP: "torch.save since PyTorch 1.6 (.pth, .pt): a zip archive of a pickle and the tensors' values",
    Format.PYTORCH_LEGACY: "torch.save before PyTorch 1.6 (.pth, .t7): five pickles, then the tensors' values",
    Format.SAFETENSORS: "safetensors: a JSON header, then the tensors' values",
    Format.ONNX: "ONNX: the network with its weights in one file; its opset's standard operations only",
}
_LAYOUTS: Mapping[str, tuple[str, str]] = {
    "factored": (
        "layer1.0.conv1.basis.sequential.0.weight",
        "pruned in the eigenbasis: each layer is a rotation in, a core, a rotation out; ranks are read from the shapes",
    ),
    "fused": (
        "layer1.0.conv1.basis.sequential.2.2.weight",
        "batch norms merged into the rotation out; the first of each block, and the last one, stay",
    ),
    "quantized": (
        "quant_net.conv1.quant.forward_bp",
        "quantized, with the exponent of every layer's output; `bits.mul_bits` says how wide these are",
    ),
}
"""Of each form, a name that tells it, and what it is."""


def checkpoint_facts() -> CheckpointFacts:
    """Of all formats but ONNX."""
    floats_and_integers = FLOATS | INTEGERS
    return CheckpointFacts(
        containers=tuple(Fact(name=format.value, words=_CONTAINERS[format]) for format in Format),
        mistaken=tuple(dict.fromkeys((*MISTAKES.values(), *KINDS))),
        limits=_limits(),
        wrappers=WRAPPERS,
        prefixes=PREFIXES,
        calls=tuple(CALLS),
        storages=tuple(_named(dtype) for dtype in dict.fromkeys(STORAGES.values()) if dtype in floats_and_integers),
        safetensors=tuple(map(_named, DTYPES.values())),
        integers=INTEGER_BUFFERS,
        layouts=tuple(_layout(field.name) for field in fields(Layout)),
    )


def onnx_facts() -> OnnxFacts:
    """Of ONNX."""
    return OnnxFacts(
        opsets=(checking.MIN_OPSET, checking.MAX_OPSET),
        ir_versions=(checking.MIN_IR, checking.MAX_IR),
        limits=(
            _limit(loading, "MAX_BYTES"),
            _limit(checking, "MAX_NODES"),
            _limit(checking, "MAX_NAME"),
            _limit(wire, "MAX_FIELDS"),
            _limit(values, "MAX_ELEMENTS"),
        ),
        operations=tuple(sorted(IMPORTERS)),
    )


def most_values() -> Limit:
    """The largest network that is built for a state dict."""
    return _limit(load, "MAX_ELEMENTS")


def _limits() -> tuple[Limit, ...]:
    words, limits = words_of_fields(Limits), Limits()
    names = (field.name for field in fields(Limits))
    return tuple(Limit(name=name, value=getattr(limits, name), words=words[name]) for name in names)


def _limit(module: object, name: str) -> Limit:
    assert inspect.ismodule(module)
    return Limit(name=name.lower(), value=getattr(module, name), words=docstrings_of_constants(module)[name])


def _layout(name: str) -> Fact:
    sign, words = _LAYOUTS[name]
    assert getattr(layout_of([sign]), name), f"{sign} no longer tells {name}"
    return Fact(name=name, words=words)


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
