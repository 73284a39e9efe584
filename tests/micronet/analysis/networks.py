"""Random small networks, sparse in every way."""

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.micronet.analysis.naive_counter import Branches, Gate, Residual

Shape = tuple[int, int, int]
Draw = st.DrawFn

ELEMENTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Sigmoid, nn.SiLU, nn.Hardsigmoid, nn.Hardswish, nn.Tanh, nn.GELU, nn.Dropout,
    nn.Identity,
)  # fmt: skip


@st.composite
def networks(draw: Draw) -> tuple[nn.Module, Shape]:
    """A network from images to logits, and the shape of its images."""
    shape: Shape = (draw(st.integers(1, 4)), draw(st.integers(4, 6)), draw(st.integers(4, 6)))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layers, now = [], shape
    for _ in range(draw(st.integers(1, 4))):
        layer, now = draw(layers_for(now))
        layers.append(layer)
    classes = draw(st.integers(1, 3))
    layers += [nn.Flatten(), nn.Linear(now[0] * now[1] * now[2], classes, bias=draw(st.booleans()))]
    if draw(st.booleans()):
        layers.append(nn.Softmax(1))
    network = nn.Sequential(*layers)
    sparsify_(network, draw(st.sampled_from([0.0, 0.3, 0.9])), draw(st.booleans()))
    return network.eval(), shape


@st.composite
def layers_for(draw: Draw, shape: Shape, depth: int = 0) -> tuple[nn.Module, Shape]:
    kinds = [convolution, elementwise, norm, pool, moved] + ([] if depth else [residual, gate, branches])
    return draw(draw(st.sampled_from(kinds))(shape))


@st.composite
def convolution(draw: Draw, shape: Shape, keep: bool = False) -> tuple[nn.Module, Shape]:
    channels, height, width = shape
    kernel = (draw(st.sampled_from([1, 3] if keep else [1, 2, 3])), draw(st.sampled_from([1, 3])))
    dilation = (draw(st.integers(1, 2)), 1)
    same = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    padding = same if keep else (draw(st.integers(0, 2)), draw(st.integers(0, 1)))
    stride = 1 if keep else (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    outputs = channels if keep else groups * draw(st.integers(1, 2))
    conv = nn.Conv2d(channels, outputs, kernel, stride, padding, dilation, groups, draw(st.booleans()))
    spans = [n + 2 * p - d * (k - 1) for n, p, d, k in zip((height, width), padding, dilation, kernel, strict=True)]
    if min(spans) < 1:
        return nn.Identity(), shape
    return conv, (outputs, *((span - 1) // s + 1 for span, s in zip(spans, conv.stride, strict=True)))


@st.composite
def elementwise(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    return draw(st.sampled_from(ELEMENTWISE))(), shape


@st.composite
def norm(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    # torch refuses a group norm of a single place
    kinds = [nn.BatchNorm2d, nn.LayerNorm] + ([nn.GroupNorm] if shape[1] * shape[2] > 1 else [])
    kind = draw(st.sampled_from(kinds))
    if kind is nn.GroupNorm:
        return nn.GroupNorm(draw(st.sampled_from([1, shape[0]])), shape[0]), shape
    if kind is nn.LayerNorm:
        return nn.LayerNorm(shape[2]), shape
    batch_norm = nn.BatchNorm2d(shape[0], affine=draw(st.booleans()))
    batch_norm.running_mean.normal_()
    batch_norm.running_var.uniform_(0.5, 2)
    return batch_norm, shape


@st.composite
def pool(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    channels, height, width = shape
    if draw(st.booleans()):
        size = draw(st.integers(1, 4))
        return draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))(size), (channels, size, size)
    kind, kernel = draw(st.sampled_from([nn.AvgPool2d, nn.MaxPool2d])), draw(st.integers(1, 3))
    stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, kernel // 2))
    if min(height, width) + 2 * padding < kernel:
        return nn.Identity(), shape
    sizes = [(n + 2 * padding - kernel) // stride + 1 for n in (height, width)]
    return kind(kernel, stride, padding), (channels, sizes[0], sizes[1])


@st.composite
def moved(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    if draw(st.booleans()) and max(shape) < 8:
        return nn.Upsample(scale_factor=2, mode="nearest"), (shape[0], shape[1] * 2, shape[2] * 2)
    return nn.ZeroPad2d((1, 1, 2, 2)), (shape[0], shape[1] + 4, shape[2] + 2)


@st.composite
def residual(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    body = [draw(convolution(shape, True))[0], draw(elementwise(shape))[0]]
    return Residual(*body), shape


@st.composite
def gate(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    """Squeeze and excitation."""
    squeeze, act = nn.AdaptiveAvgPool2d(1), draw(st.sampled_from([nn.Sigmoid, nn.Hardsigmoid]))()
    return Gate(squeeze, nn.Conv2d(shape[0], shape[0], 1), act), shape


@st.composite
def branches(draw: Draw, shape: Shape) -> tuple[nn.Module, Shape]:
    first, second = (draw(convolution(shape, True))[0] for _ in range(2))
    return Branches([first, second]), (2 * shape[0], *shape[1:])


def sparsify_(network: nn.Module, share: float, whole_filter: bool) -> None:
    """Sets a share of all parameters to zero, and perhaps the first filter of every layer."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
        values: Tensor = parameter.data
        values[torch.rand_like(values) < share] = 0
        if whole_filter and values.dim() > 1:
            values[0] = 0
