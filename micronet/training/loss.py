"""What a training lowers: the cross-entropy, or with a teacher a mixture of it and the distance from the teacher."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.widths import quantizes
from micronet.contract import Distillation, Training
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


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network, by whose answers another learns.

    In the precision of what it teaches, unless it is quantized: grids of more than 8 bits need more than bfloat16 has.
    """

    network: TrainableNetwork
    how: Distillation
    quantized: bool

    @classmethod
    def of(cls, how: Training, task: Task) -> "Teacher | None":
        """The one of `how`, on the task's device; None where there is none."""
        if how.distillation is None:
            return None
        graph = task.teacher(how.distillation)
        return cls(TrainableNetwork(graph).to(task.device).eval(), how.distillation, quantizes(graph))

    def __call__(self, images: Tensor, half: bool) -> Tensor:
        """Logits float32 (N, classes), by which nothing learns."""
        enabled = half and not self.quantized
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=enabled):
            logits: Tensor = self.network(images)
        return logits.float()
