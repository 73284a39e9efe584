"""The plain way to evaluate a quantized network: module by module, divide-round-clamp-multiply; then count.

What an entrant writes in an afternoon, and the peer our evaluation is measured against.
"""

import torch
from torch import Tensor, nn

from micronet.architectures.load import load_network
from micronet.architectures.quantizer import Quantizer
from micronet.evaluation.inputs import Inputs

BATCH = 100


class PlainQuantizer(nn.Module):
    """Divide by the step, round, clamp, multiply by the step."""

    def __init__(self, point: float, bits: int) -> None:
        super().__init__()
        self._step, self._half = 2.0**-point, 2 ** (bits - 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(torch.round(x / self._step), -self._half, self._half - 1) * self._step


def plain_network(tensors: dict[str, Tensor], bits: int) -> nn.Module:
    """The PyramidNet of `tensors` with plain quantizers in place of ours."""
    network = load_network("pyramidnet", {}, tensors, bits)
    for name, module in list(network.named_modules()):
        if isinstance(module, Quantizer):
            network.set_submodule(name, PlainQuantizer(float(module.forward_bp), bits))
    return network.eval()


def plain_evaluate(network: nn.Module, inputs: Inputs) -> int:
    """Correct answers; and once more over all images with a hook per layer that counts, as counting scripts do."""
    correct = 0
    counted: list[int] = []
    with torch.no_grad():
        for start in inputs.starts(BATCH):
            images, labels = inputs.batch(start, BATCH)
            correct += int((network(images).argmax(1) == labels).sum())
        hooks = [
            module.register_forward_hook(lambda module, args, result: counted.append(result.numel()))
            for module in network.modules()
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.ReLU)
        ]
        for start in inputs.starts(BATCH):
            network(inputs.batch(start, BATCH)[0])
        for hook in hooks:
            hook.remove()
    return correct
