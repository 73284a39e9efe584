"""What a training lowers: the cross-entropy, or with a teacher a mixture of it and the distance from the teacher."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.widths import quantizes
from micronet.contract import Distillation, Normalization, Training
from micronet.errors import SettingsError
from micronet.evaluation.inputs import Inputs
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task


@dataclass(frozen=True, slots=True)
class Loss:
    """From images float32 (N, C, H, W) and targets (N, classes), probabilities, to their mean loss, differentiable.

    learner  the network that learns, as it is called: several processes average its gradients
    teacher  gives logits too, and learns nothing
    half     whether convolutions and products are computed in bfloat16, the loss always being in float32
    """

    learner: nn.Module
    half: bool
    teacher: "Teacher | None"

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy; with a teacher, mixed with the divergence from it at temperature T, times T squared."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.half):
            logits = self.learner(images).float()
        loss = F.cross_entropy(logits, targets)
        if self.teacher is None:
            return loss
        temperature = self.teacher.how.temperature
        theirs = F.log_softmax(self.teacher(images, self.half) / temperature, 1)
        ours = F.log_softmax(logits / temperature, 1)
        divergence = F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2
        return torch.lerp(loss, divergence, self.teacher.how.weight)


@dataclass(frozen=True, slots=True, eq=False)
class Renormalization:
    """Images as one network is shown them, made what another is shown: scale * x + shift, per channel.

    (pixel - mean') / std' is (x * std + mean - mean') / std', so that a mixture of images stays the same mixture, and
    what is cut out keeps its colour. Each of the two operations rounds to float32.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, inputs: Inputs, other: Normalization, device: torch.device) -> Self:
        """From that of `inputs` to the other. Raises SettingsError unless it is for as many channels."""
        channels = len(inputs.mean)
        if len(other.mean) != channels or len(other.std) != channels:
            raise SettingsError(
                f"distillation.normalize: {len(other.mean)} means and {len(other.std)} deviations, and images of "
                f"{inputs.split.name} have {channels} channels."
            )
        mean, std, mean_there, std_there = (
            torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
            for values in (inputs.mean, inputs.std, other.mean, other.std)
        )
        scale, shift = std / std_there, (mean - mean_there) / std_there
        return cls(scale.float().to(device), shift.float().to(device))

    def __call__(self, images: Tensor) -> Tensor:
        """Float32 (N, C, H, W), laid out as they are."""
        return images * self.scale + self.shift


def renormalization(how: Distillation, task: Task) -> Renormalization | None:
    """What makes the images of the teacher of those of the task; None where they are the same. Raises SettingsError."""
    given, train = how.normalize, task.train
    if given is None or (given.mean, given.std) == (train.mean, train.std):
        return None
    return Renormalization.of(train, given, task.device)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network, by whose answers another learns.

    In the precision of what it teaches, unless it is quantized: grids of more than 8 bits need more than bfloat16 has.
    `renormalized` makes what it is shown of what the other is; None: it is shown the same.
    """

    network: TrainableNetwork
    how: Distillation
    quantized: bool
    renormalized: Renormalization | None = None

    @classmethod
    def of(cls, how: Training, task: Task) -> "Teacher | None":
        """The one of `how`, on the task's device; None where there is none. Raises SettingsError."""
        if how.distillation is None:
            return None
        renormalized, graph = renormalization(how.distillation, task), task.teacher(how.distillation)
        return cls(TrainableNetwork(graph).to(task.device).eval(), how.distillation, quantizes(graph), renormalized)

    def __call__(self, images: Tensor, half: bool) -> Tensor:
        """Logits float32 (N, classes), by which nothing learns, of images as the network that learns is shown them."""
        enabled = half and not self.quantized
        images = images if self.renormalized is None else self.renormalized(images)
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=enabled):
            logits: Tensor = self.network(images)
        return logits.float()
