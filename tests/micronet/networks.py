"""Random small networks, with every trap a pass can fall into."""

from collections.abc import Mapping

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.fuse_batchnorm import fuse_batchnorm
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_activations, quantize_weights
from micronet.transformation.ranges import Observer
from micronet.transformation.recognize import recognize

CHANNELS = 4
SIZE = 6


class Residual(nn.Module):
    """x is read again after the body, and after a ReLU that writes it in place where `inplace`."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS))
        self.relu = nn.ReLU(inplace)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.relu(self.body(x) + x)


class Excite(nn.Module):
    """A gate of one value per channel, broadcast."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class Twice(nn.Module):
    """The same value twice: joined, added to itself, and through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(torch.cat([x, x], 1))
        z = y.view(y.shape[0], CHANNELS, -1)
        return (y + y) * torch.relu(z).view(y.shape) + y


class Spelled(nn.Module):
    """A hard swish in steps, whose input is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y * nn.functional.relu6(y + 3) / 6 + x


class ByChannel(nn.Module):
    """A classifier with a value on a grid for each channel, whose steps a file stores as tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(CHANNELS, CHANNELS, 3), nn.Linear(CHANNELS, 10)
        self.register_buffer("steps", torch.tensor([0.5, 0.25, 0.125, 0.3]))
        self.register_buffer("zeros", torch.zeros(CHANNELS, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.fake_quantize_per_channel_affine(self.conv(x), self.steps, self.zeros, 1, -128, 127)
        return self.linear(y.mean((2, 3)))


PARTS = {
    "pointwise": lambda: nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
    "convolution": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS, bias=False),
    "grouped": lambda: nn.Conv2d(CHANNELS, CHANNELS, 1, groups=2),
    "norm": lambda: nn.BatchNorm2d(CHANNELS),
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "hard swish": lambda: nn.Hardswish(inplace=True),
    "swish": nn.SiLU,
    "relu6": nn.ReLU6,
    "pool": lambda: nn.AvgPool2d(3, 1, 1),
    "max pool": lambda: nn.MaxPool2d(3, 1, 1),
    "residual": lambda: Residual(inplace=False),
    "residual in place": lambda: Residual(inplace=True),
    "excite": Excite,
    "twice": Twice,
    "spelled": Spelled,
}
IMAGE = (CHANNELS, SIZE, SIZE)


def network(parts: list[str], seed: int = 0) -> nn.Module:
    """The parts in a row, then mean, norm and a fully connected layer; running statistics are random too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = [PARTS[part]() for part in parts]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(CHANNELS), nn.Linear(CHANNELS, 3)]
        module = nn.Sequential(*body, *head)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(norm.weight, -2, 2)
                nn.init.normal_(norm.bias)
                nn.init.normal_(norm.running_mean)
                nn.init.uniform_(norm.running_var, 0.2, 3)
    return module.eval().requires_grad_(False)


def networks(most: int = 6) -> st.SearchStrategy[nn.Module]:
    return st.builds(network, st.lists(st.sampled_from(sorted(PARTS)), max_size=most), st.integers(0, 2**16))


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(seed))


def quantized(module: nn.Module, weight_bits: int, activation_bits: int) -> Graph:
    """Batch norms merged, weights and values on grids that hold the largest seen in eight images."""
    graph = fuse_batchnorm(recognize(fold_constants(capture(module, IMAGE))))
    how = Quantization(weight_bits, activation_bits, "max")

    def calibrate(shown: Graph, observers: Mapping[str, Observer]) -> None:
        seen: dict[str, Tensor] = {shown.input: images(8)}
        interpret(shown, images(8), lambda node, value: seen.update({node.name: value}))
        for name, observer in observers.items():
            observer.take(observer.measure(seen[name].reshape(1, -1)))

    return quantize_activations(quantize_weights(graph, how), how, calibrate)


class _Halfway(nn.Module):
    """Values that often lie halfway between two points of the next grid: quotients by 6, by 7 and by 49."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.fake_quantize_per_tensor_affine(x * 8, 2.0**-4, 0, -128, 127)
        swish = torch.fake_quantize_per_tensor_affine(nn.functional.hardswish(x), 2.0**-3, 0, -128, 127)
        gate = torch.fake_quantize_per_tensor_affine(nn.functional.hardsigmoid(x), 2.0**-3, 0, 0, 15)
        seventh = torch.fake_quantize_per_tensor_affine(x / 7, 2.0**-3, 0, -128, 127)
        mean = torch.fake_quantize_per_tensor_affine(x.mean((2, 3)), 2.0**-5, 0, -128, 127)
        pooled = torch.fake_quantize_per_tensor_affine(nn.functional.adaptive_avg_pool2d(x, 1), 2.0**-5, 0, -128, 127)
        return torch.cat([*(y.flatten(1) for y in (swish, gate, seventh)), mean, pooled.flatten(1)], 1)


def halfway() -> tuple[Graph, Tensor]:
    """The graph of such a network, and images for it."""
    generator = torch.Generator().manual_seed(0)
    return capture(_Halfway(), (3, 7, 7)), torch.randint(-128, 128, (512, 3, 7, 7), generator=generator) / 128
