"""Files that torch.onnx.export writes, by both of its exporters: the graph says what the module says, for any batch."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from micronet.errors import OnnxUnsupportedFeature
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph, load_model


class Residual(nn.Module):
    """Convolutions of all kinds, batch norms, squeeze and excitation, hard and soft activations, a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 5, 1, 2, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.SiLU(), nn.Conv2d(2, 8, 1), nn.Sigmoid()
        )
        self.tail = nn.Sequential(
            nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(8 * 4 * 4, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        y = self.depthwise(x)
        y = y * self.gate(y) + x
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        left, right = y.chunk(2, dim=1)
        return self.tail(torch.cat((left, right * 2.5), dim=1))


class Transformer(nn.Module):
    """Patches, a class token, one block of attention by hand, GELU, layer norms."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 17, 16))
        self.norm, self.norm2, self.norm3 = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        n = images.shape[0]
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(n, -1, -1), x), dim=1) + self.position
        q, k, v = self.qkv(self.norm(x)).reshape(n, 17, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        attention = (q @ k.transpose(-2, -1) * 0.5).softmax(dim=-1) @ v
        x = x + self.out(attention.transpose(1, 2).reshape(n, 17, 16))
        x = x + self.mlp(self.norm2(x))
        return self.head(self.norm3(x)[:, 0])


class Attention(nn.Module):
    """torch's own attention, in its layout of tokens first."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.block = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.block(self.patches(images).flatten(2).transpose(1, 2)).mean(dim=1))


class Assorted(nn.Module):
    """What the others leave out: resizing, padding, pixel shuffle, group norm, activations of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.GroupNorm(2, 8)
        self.shuffle = nn.PixelShuffle(2)
        self.prelu = nn.PReLU(2)
        self.head = nn.Linear(2, 10)
        self.activations = nn.Sequential(nn.ELU(), nn.LeakyReLU(0.1), nn.Tanh(), nn.Hardsigmoid(), nn.GELU("tanh"))

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.pad(images, (1, 2, 3, 0), mode="reflect")
        x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        x = self.prelu(self.shuffle(self.norm(self.narrow(x))))
        x = self.activations(x).clamp(min=-0.5) / 3 - x.abs().sqrt() + (1 - x) ** 2
        x = torch.minimum(x, 2 - x)
        return self.head(x.amax(dim=(2, 3)) - x.sum(dim=(2, 3)) / 1000 + torch.exp(-x).mean(dim=(2, 3)))


MODULES = {"residual": Residual, "transformer": Transformer, "attention": Attention, "assorted": Assorted}

REFUSED = {("transformer", 2)}
"""Saved for two images with the class token already there twice: whether that 2 is the batch cannot be told."""


def trained_looking(module: nn.Module) -> nn.Module:
    """The module in eval mode, with batch norm statistics that are not the identity."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return module.eval()


def exported(module: nn.Module, path: Path, dynamo: bool, batch: int | None) -> Graph:
    """The graph of the module, through a file saved for a fixed batch, or for any if `batch` is None."""
    images = torch.randn(batch or 2, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = None if batch else ({0: torch.export.Dim("N")},)
            torch.onnx.export(
                module, (images,), path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False
            )
        else:
            axes = None if batch else {"input": {0: "N"}, "logits": {0: "N"}}
            torch.onnx.export(
                module,
                (images,),
                path,
                dynamo=False,
                input_names=["input"],
                output_names=["logits"],
                dynamic_axes=axes,
                opset_version=17,
            )
    return import_graph(load_model(path))


@pytest.mark.parametrize("batch", [None, 1, 2])
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_export_agrees_with_its_module(name: str, dynamo: bool, batch: int | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = trained_looking(MODULES[name]())
    if (name, batch) in REFUSED:
        with pytest.raises(OnnxUnsupportedFeature):
            exported(module, tmp_path / "model.onnx", dynamo, batch)
        return
    graph = exported(module, tmp_path / "model.onnx", dynamo, batch)
    for size in (1, 2, 5):
        images = torch.randn(size, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(interpret(graph, images), module(images), atol=1e-4, rtol=1e-4)
