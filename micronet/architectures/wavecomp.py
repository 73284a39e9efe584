"""PyramidNet in the forms of SCORING section 7: pruned in an eigenbasis, batch norms fused, activations quantized."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.match import is_plain
from micronet.architectures.pyramidnet import PyramidNet
from micronet.architectures.quantizer import POINTS, WIDTHS, Quantizer
from micronet.architectures.shakedrop import ShakeDrop
from micronet.errors import CorruptFile, NotFinite, SettingsError, ShapeMismatch

QUANTIZED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, nn.AvgPool2d, ShakeDrop)
"""Modules whose output has an exponent in a quantized file."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The form of a file. The published ones are factored; factored and fused; all three."""

    factored: bool
    fused: bool
    quantized: bool


class AppendOne(nn.Module):
    """A column of ones behind the features, so that the bias is a column of the rotated weight."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) to (N, features + 1)."""
        return F.pad(x, (0, 1), value=1.0)


class QuantizedNetwork(nn.Module):
    """A network whose input is quantized; inside, each layer quantizes its own output.

    The sum at the end of a residual block is not quantized: its operands are (ShakeDrop's output, and the shortcut
    after pooling), and the batch norm that reads it quantizes what it makes of it. One ReLU serves a whole
    block, so its uses share one exponent. The constant one that AppendOne adds has no exponent either.
    """

    def __init__(self, network: nn.Module, quant_input: Quantizer) -> None:
        super().__init__()
        self.quant_input = quant_input
        self.quant_net = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        logits: Tensor = self.quant_net(self.quant_input(images))
        return logits


def layout_of(names: Iterable[str]) -> Layout:
    """The form the names of a state dict speak of."""
    names = list(names)
    return Layout(
        factored=any(".basis.sequential." in name for name in names),
        fused=any(name.endswith((".basis.sequential.2.weight", ".basis.sequential.2.2.weight")) for name in names),
        quantized=any(name.startswith("quant_net.") or name.endswith(".forward_bp") for name in names),
    )


def fit_(network: PyramidNet, tensors: Mapping[str, Tensor], activation_bits: int | None) -> nn.Module:
    """`network`, on the meta device, in the form `tensors` have; ranks and exponents come from the tensors.

    Changes `network`. Tensors may be missing or misshapen, which is left to the check of keys and shapes.
    Raises ShapeMismatch if adjacent ranks differ, NotFinite or CorruptFile for a bad exponent, SettingsError for a
    width out of range.
    """
    layout = layout_of(tensors)
    with torch.device("meta"):
        if layout.factored:
            _factor_(network, _Ranks(tensors, layout))
        if layout.fused:
            _drop_fused_norms_(network)
        return _quantize_(network, tensors, activation_bits) if layout.quantized else network


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Reads the ranks of factored layers off the shapes of their tensors."""

    tensors: Mapping[str, Tensor]
    layout: Layout

    def of(self, layer: str, inputs: int, outputs: int, leaf: str) -> tuple[int, int]:
        """Ranks (in, out) of `layer`; of its full widths where a tensor is missing. `leaf` is "conv" or "linear"."""
        fused = self.layout.fused and leaf == "conv"
        rotation_in = self._name(f"{layer}.basis.sequential.0.{leaf}")
        core = self._name(f"{layer}.basis.sequential.1")
        rotation_out = self._name(f"{layer}.basis.sequential.2" + ("" if fused else f".{leaf}"))
        rank_in = self._size(rotation_in, 0, self._size(core, 1, inputs))
        rank_out = self._size(core, 0, self._size(rotation_out, 1, outputs))
        self._agree(rotation_in, 0, core, 1)
        self._agree(core, 0, rotation_out, 1)
        return rank_in, rank_out

    def _name(self, module: str) -> str:
        """Name of the weight of `module`, which a quantized file wraps once more."""
        return f"quant_net.{module}.{module.rpartition('.')[2]}.weight" if self.layout.quantized else f"{module}.weight"

    def _size(self, name: str, axis: int, default: int) -> int:
        """Size along `axis` of a tensor, or `default`. Empty or flat tensors are for the check of shapes to name."""
        shape = self.tensors[name].shape if name in self.tensors else ()
        return (shape[axis] if len(shape) > axis else 0) or default

    def _agree(self, first: str, first_axis: int, second: str, second_axis: int) -> None:
        rank = self._size(first, first_axis, 0)
        if rank != self._size(second, second_axis, rank) and rank:
            raise ShapeMismatch(
                f"{first} {tuple(self.tensors[first].shape)} and {second} {tuple(self.tensors[second].shape)} do not "
                f"fit together: size {first_axis} of the first must be size {second_axis} of the second."
            )


def _factor_(network: nn.Module, ranks: _Ranks) -> None:
    """Each convolution and linear layer as three: rotation in, core in the eigenbasis, rotation out."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            _replace_(network, name, _factored_convolution(name, module, ranks))
        elif isinstance(module, nn.Linear):
            _replace_(network, name, _factored_linear(name, module, ranks))


def _factored_convolution(name: str, conv: nn.Conv2d, ranks: _Ranks) -> nn.Module:
    """The core keeps kernel, stride and padding (which keeps the size, as in all of PyramidNet's convolutions).

    Fused, the rotation out has the bias of the batch norm it took in.
    """
    rank_in, rank_out = ranks.of(name, conv.in_channels, conv.out_channels, "conv")
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    core = nn.Conv2d(rank_in, rank_out, kernel, stride, kernel // 2, bias=False)
    rotation_out = nn.Conv2d(rank_out, conv.out_channels, 1, bias=ranks.layout.fused)
    return _basis(
        _named("conv", nn.Conv2d(conv.in_channels, rank_in, 1, bias=False)),
        core,
        rotation_out if ranks.layout.fused else _named("conv", rotation_out),
    )


def _factored_linear(name: str, linear: nn.Linear, ranks: _Ranks) -> nn.Module:
    """A bias becomes a column of weights for an input that is always one."""
    inputs, outputs = linear.in_features + 1, linear.out_features
    rank_in, rank_out = ranks.of(name, inputs, outputs, "linear")
    rotation_in = _named("linear", nn.Linear(inputs, rank_in, bias=False))
    return _basis(
        nn.Sequential(OrderedDict(one=AppendOne(), **dict(rotation_in.named_children()))),
        nn.Linear(rank_in, rank_out, bias=False),
        _named("linear", nn.Linear(rank_out, outputs, bias=False)),
    )


def _basis(*three: nn.Module) -> nn.Module:
    return _named("basis", _named("sequential", nn.Sequential(*three)))


def _named(name: str, module: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict({name: module}))


def _drop_fused_norms_(network: nn.Module) -> None:
    """Removes each batch norm that follows a convolution. A block's first and the last of all follow a sum and stay."""
    for name, _ in list(network.named_modules()):
        if name == "bn1" or name.endswith((".bn2", ".bn3", ".bn4")):
            _replace_(network, name, nn.Identity())


def _quantize_(network: nn.Module, tensors: Mapping[str, Tensor], bits: int | None) -> nn.Module:
    """Wraps each leaf as {its own name, quant}: conv1 becomes conv1.conv1 and conv1.quant."""
    if bits is not None and bits not in WIDTHS:
        raise SettingsError(f"activation_bits is {bits}; it must lie in {WIDTHS.start}..{WIDTHS[-1]}.")
    for name, module in list(network.named_modules()):
        if isinstance(module, QUANTIZED):
            quantizer = Quantizer(_point(tensors, f"quant_net.{name}.quant.forward_bp"), bits)
            leaf = name.rpartition(".")[2]
            _replace_(network, name, nn.Sequential(OrderedDict({leaf: module, "quant": quantizer})))
    return QuantizedNetwork(network, Quantizer(_point(tensors, "quant_input.forward_bp"), bits))


def _point(tensors: Mapping[str, Tensor], name: str) -> int:
    """The binary point of that name; 0 where it is missing or no plain scalar, which the check of tensors names."""
    if name not in tensors or tensors[name].shape != () or not is_plain(tensors[name]):
        return 0
    point = float(tensors[name])
    if not torch.isfinite(tensors[name]):
        raise NotFinite(f"{name} is {point}; a binary point is a whole number.")
    if not point.is_integer() or int(point) not in POINTS:
        raise CorruptFile(f"{name} is {point:g}; a binary point is a whole number in {POINTS.start}..{POINTS[-1]}.")
    return int(point)


def _replace_(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, module)
