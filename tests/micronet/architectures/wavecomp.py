"""Random state dicts in the three forms of a pruned PyramidNet, and a reader of the list of their keys."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from micronet.architectures.load import sketch_network

Layout = Literal["pruned", "pruned_fused", "quantized_fused"]
LAYOUTS: tuple[Layout, ...] = ("pruned", "pruned_fused", "quantized_fused")
LAYOUT_FILE = Path(__file__).parents[4] / "shared" / "checkpoints" / "wavecomp_layout.txt"

POINT = 7.0
"""Binary point of every quantizer: with 12 bits, values from -16 to 15.99 in steps of 1/128."""


def wavecomp_state_dict(
    layout: Layout,
    *,
    depth: int = 29,
    alpha: float = 12,
    num_classes: int = 100,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Random weights in `layout` for a bottleneck PyramidNet of any depth and alpha, each core a quarter as wide.

    Weights are scaled to their inputs so that every layer keeps the variance: outputs stay finite however deep.
    """
    options = {"depth": depth, "alpha": alpha, "num_classes": num_classes}
    pruned = dict(_pruned(sketch_network("pyramidnet", options), torch.Generator().manual_seed(seed)))
    if layout == "pruned":
        return pruned
    fused = fuse(pruned)
    return fused if layout == "pruned_fused" else quantize(fused)


def shape_list(path: Path = LAYOUT_FILE) -> dict[str, dict[str, tuple[int, ...]]]:
    """{layout: {key: shape}} of a text file of `# layout` headers and `key 3x3x1x1` lines; a scalar has no sizes."""
    layouts: dict[str, dict[str, tuple[int, ...]]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            shapes = layouts.setdefault(line.removeprefix("#").strip(), {})
        else:
            key, _, sizes = line.partition(" ")
            shapes[key] = tuple(map(int, sizes.split("x"))) if sizes else ()
    return layouts


def fill(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Random tensors of these names and shapes, scaled so that the network's outputs are finite."""
    generator = torch.Generator().manual_seed(seed)
    return {key: _value(key, shape, generator) for key, shape in shapes.items()}


def fuse(pruned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The pruned form with each batch norm that follows a convolution merged into that convolution's rotation out."""
    fused = {}
    norms = {_norm_after(key.split(".basis.")[0]) for key in pruned if key.endswith("sequential.2.conv.weight")}
    for key, tensor in pruned.items():
        norm = key.rpartition(".")[0]
        if key.endswith("sequential.2.conv.weight"):
            scale, shift = _affine(pruned, _norm_after(key.split(".basis.")[0]))
            fused[key.replace(".conv.weight", ".weight")] = tensor * scale[:, None, None, None]
            fused[key.replace(".conv.weight", ".bias")] = shift
        elif norm not in norms:
            fused[key] = tensor
    return fused


def quantize(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A form wrapped in quantizers, each with the binary point POINT; weights as they are."""
    point = torch.tensor(POINT)
    quantized = {"quant_input.forward_bp": point.clone()}
    for key, tensor in tensors.items():
        module, _, leaf = key.rpartition(".")
        quantized[f"quant_net.{module}.{module.rpartition('.')[2]}.{leaf}"] = tensor
        quantized[f"quant_net.{module}.quant.forward_bp"] = point.clone()
    blocks = {key.split(".bn1.")[0] for key in tensors if key.startswith("layer") and ".bn1." in key}
    silent = [f"{block}.{leaf}" for block in blocks for leaf in ("relu", "shake_drop")]
    for leaf in [*silent, "layer2.0.downsample", "layer3.0.downsample", "relu_final", "avgpool"]:
        quantized[f"quant_net.{leaf}.quant.forward_bp"] = point.clone()
    return quantized


def rotated(plain: Mapping[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """The pruned form of an ordinary state dict, of full rank: core = out^T * weight * in^T with random rotations."""
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for key, tensor in plain.items():
        layer = key.rpartition(".")[0]
        if key == "fc.bias":
            continue
        if key == "fc.weight":
            weight = torch.cat([tensor, plain["fc.bias"][:, None]], 1)
            result |= _three(layer, "linear", weight[:, :, None, None], generator)
        elif tensor.ndim == 4:
            result |= _three(layer, "conv", tensor, generator)
        else:
            result[key] = tensor
    return {key: tensor.flatten(1) if key.startswith("fc.") else tensor for key, tensor in result.items()}


def _three(layer: str, leaf: str, weight: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    outputs, inputs = weight.shape[:2]
    rotation_in, rotation_out = _rotation(inputs, generator), _rotation(outputs, generator)
    core = torch.einsum("oihw,or,si->rshw", weight.double(), rotation_out, rotation_in)
    three = {f"0.{leaf}": rotation_in[:, :, None, None], "1": core, f"2.{leaf}": rotation_out[:, :, None, None]}
    return {f"{layer}.basis.sequential.{part}.weight": tensor.float() for part, tensor in three.items()}


def _rotation(size: int, generator: torch.Generator) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q


def _pruned(network: nn.Module, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            inputs, outputs, kernel = module.in_channels, module.out_channels, module.kernel_size
            rank_in, rank_out = math.ceil(inputs / 4), math.ceil(outputs / 4)
            shapes = {
                "0.conv": (rank_in, inputs, 1, 1),
                "1": (rank_out, rank_in, *kernel),
                "2.conv": (outputs, rank_out, 1, 1),
            }
        elif isinstance(module, nn.Linear):
            inputs, outputs = module.in_features + 1, module.out_features
            rank_in, rank_out = math.ceil(inputs / 4), math.ceil(outputs / 4)
            shapes = {"0.linear": (rank_in, inputs), "1": (rank_out, rank_in), "2.linear": (outputs, rank_out)}
        else:
            if isinstance(module, nn.BatchNorm2d):
                for key, tensor in module.state_dict().items():
                    yield f"{name}.{key}", _value(f"{name}.{key}", tuple(tensor.shape), generator)
            continue
        for part, shape in shapes.items():
            key = f"{name}.basis.sequential.{part}.weight"
            yield key, _value(key, shape, generator)


def _value(key: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    kind = key.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.tensor(100)
    if kind == "forward_bp":
        return torch.tensor(POINT)
    if kind == "running_var":
        return torch.rand(shape, generator=generator) + 0.5
    noise = torch.randn(shape, generator=generator)
    if kind == "weight" and len(shape) > 1:
        return noise / math.sqrt(math.prod(shape[1:]))
    return 1 + noise / 10 if kind == "weight" else noise / 10


def _norm_after(layer: str) -> str:
    """conv1 is followed by bn1; inside a block, where bn1 comes first, conv1 is followed by bn2."""
    block, _, conv = layer.rpartition(".")
    return f"{block}.bn{int(conv[-1]) + 1}" if block else conv.replace("conv", "bn")


def _affine(tensors: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """Scale and shift of a batch norm: y = (x - mean) / sqrt(var + eps) * weight + bias."""
    weight, bias, mean, variance = (
        tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / torch.sqrt(variance + 1e-5)
    return scale, bias - mean * scale
