"""What a network answers to held-out images, against what another one does and against labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.contract import Accuracy
from micronet.evaluation.accuracy import cpu_batch
from micronet.evaluation.inputs import Advance, Inputs, unheard
from micronet.evaluation.lowering import lower
from micronet.evaluation.threads import in_order
from micronet.graph.ir import Graph


@dataclass(frozen=True, slots=True)
class Compared:
    """Of `total` images: `correct` answers, `agreeing` ones, and the squared change of the logits over their squares.

    Logits are taken about their mean.
    """

    total: int
    correct: int
    agreeing: int
    loss: float

    @property
    def accuracy(self) -> Accuracy:
        """As results have it."""
        return Accuracy.of(self.correct, self.total)


def logits(graph: Graph, inputs: Inputs, advance: Advance = unheard) -> Tensor:
    """(n, classes) float32 of all `inputs`, on the CPU."""
    batch = cpu_batch(graph)
    program = lower(graph, batch)
    parts = []
    for part in in_order(lambda start: program.run(inputs.batch(start, batch)[0]).clone(), inputs.starts(batch)):
        parts.append(part)
        advance(min(len(parts) * batch, len(inputs)), len(inputs), "images")
    return torch.cat(parts)


def compared(answers: Tensor, reference: Tensor, labels: Tensor) -> Compared:
    """Logits (n, classes) against those of the network in floating point, and against labels (n,)."""
    ours, theirs = (one.double() - one.double().mean(1, keepdim=True) for one in (answers, reference))
    picked, wanted = answers.argmax(1), reference.argmax(1)
    return Compared(
        len(labels),
        int((picked == labels).sum()),
        int((picked == wanted).sum()),
        float((ours - theirs).square().sum() / theirs.square().sum()),
    )
