"""What a network answers to held-out images, against what the one in floating point does and against labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.contract import Accuracy
from micronet.evaluation.accuracy import cpu_batch
from micronet.evaluation.inputs import Inputs
from micronet.evaluation.lowering import lower
from micronet.evaluation.threads import in_order
from micronet.graph.ir import Graph
from micronet.progress import Advance, unheard


@dataclass(frozen=True, slots=True)
class Comparison:
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


@dataclass(frozen=True, slots=True)
class ReferenceAnswers:
    """Images that networks are compared on, and the logits (n, classes) of the network in floating point."""

    inputs: Inputs
    logits: Tensor

    @classmethod
    def of(cls, graph: Graph, inputs: Inputs, advance: Advance = unheard) -> "ReferenceAnswers":
        """Those of `graph`."""
        return cls(inputs, _logits(graph, inputs, advance))

    @property
    def own(self) -> Comparison:
        """The network in floating point against itself."""
        return self._compared(self.logits)

    def compared(self, graph: Graph, advance: Advance = unheard) -> Comparison:
        """Another network's answers."""
        return self._compared(_logits(graph, self.inputs, advance))

    def _compared(self, logits: Tensor) -> Comparison:
        labels = self.inputs.split.labels
        ours, theirs = (one.double() - one.double().mean(1, keepdim=True) for one in (logits, self.logits))
        picked, wanted = logits.argmax(1), self.logits.argmax(1)
        return Comparison(
            len(labels),
            int((picked == labels).sum()),
            int((picked == wanted).sum()),
            float((ours - theirs).square().sum() / theirs.square().sum()),
        )


def _logits(graph: Graph, inputs: Inputs, advance: Advance) -> Tensor:
    """(n, classes) float32 of all `inputs`, on the CPU."""
    batch = cpu_batch(graph)
    program = lower(graph, batch)
    parts = []
    for part in in_order(lambda start: program.run(inputs.batch(start, batch)[0]).clone(), inputs.starts(batch)):
        parts.append(part)
        advance(min(len(parts) * batch, len(inputs)), len(inputs), "images")
    return torch.cat(parts)
