"""Top-1 accuracy of a graph on a data set."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.shapes import shapes
from micronet.analysis.transient import transient_bytes
from micronet.analysis.widths import FULL_WIDTH
from micronet.contract import Accuracy
from micronet.errors import NumericalError
from micronet.evaluation.bit_true import check_exact, exactly, widen
from micronet.evaluation.device import without_cudnn
from micronet.evaluation.inputs import Inputs
from micronet.evaluation.lowering import lower
from micronet.evaluation.threads import in_order
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.progress import Advance, unheard

Logits = Callable[[Tensor], Tensor]
"""From a normalized batch to logits, both on the device."""

CACHE_BYTES = 25 << 20
"""Activations of one batch on the CPU: about what a processor's caches hold. Larger batches run slower, not faster."""
CUDA_BATCH = 500


@dataclass(frozen=True, slots=True)
class Measured:
    """Correct answers of `total`; `infinite`: how many of the others had logits that are NaN or infinite."""

    correct: int
    total: int
    infinite: int = 0

    @property
    def accuracy(self) -> Accuracy:
        """As results have it."""
        return Accuracy.of(self.correct, self.total)


def evaluate(
    graph: Graph,
    inputs: Inputs,
    device: torch.device,
    bit_true: bool = False,
    advance: Advance = unheard,
    *,
    count_infinite: bool = False,
) -> Measured:
    """Correct answers of `graph` on all `inputs`.

    On the CPU, batches go to one thread per processor and each is computed by one thread, so that the result does not
    depend on how many there are. With `bit_true`, in float64, where sums of fixed-point products are exact (checked),
    or on the CPU in float32 where that is the same to the bit.
    Raises NumericalError where a logit is NaN or infinite; with `count_infinite`, such an image is counted as wrong.
    """
    if bit_true:
        check_exact(graph)
    batch = CUDA_BATCH if device.type == "cuda" else cpu_batch(graph)
    logits = logits_of(graph, device, batch, bit_true)

    def answered(start: int) -> Measured:
        images, labels = inputs.batch(start, batch, device)
        answers = logits(images)
        finite = torch.isfinite(answers).all(1).cpu()
        if not count_infinite and not bool(finite.all()):
            raise NumericalError(
                f"the network gives NaN or infinity for images {start} to {start + len(labels) - 1} of "
                f"{inputs.split.name}; no accuracy can be taken of that. Check normalization and weights, and "
                "whether the running statistics of batch norms saw enough steps of training."
            )
        right = (answers.argmax(1).cpu() == labels) & finite
        return Measured(int(right.sum()), len(labels), int((~finite).sum()))

    whole = Measured(0, 0)
    starts = inputs.starts(batch)
    for part in in_order(answered, starts) if device.type == "cpu" else map(answered, starts):
        infinite = whole.infinite + part.infinite
        whole = Measured(whole.correct + part.correct, whole.total + part.total, infinite)
        advance(whole.total, len(inputs), "images")
    return whole


def cpu_batch(graph: Graph) -> int:
    """Images per batch whose activations stay in the caches; a fact of the graph, not of the machine."""
    known = shapes(graph)
    widths = dict.fromkeys([graph.input, *(node.name for node in graph.nodes)], FULL_WIDTH)
    per_image = max(1, transient_bytes(graph, known, widths))
    return max(4, min(64, CACHE_BYTES // per_image))


def logits_of(graph: Graph, device: torch.device, batch: int, bit_true: bool) -> Logits:
    """From batches of at most `batch` images to logits: a lowered program on the CPU, node by node on CUDA.

    Among cuDNN's algorithms are some that transform (FFT, Winograd): their sums are exact in no precision. Without it
    torch gathers patches and multiplies matrices.
    """
    if device.type == "cpu":
        return lower(exactly(graph) if bit_true else graph, batch).run
    there = (widen(graph) if bit_true else graph).on(device)
    if not bit_true:
        return lambda images: interpret(there, images.contiguous(memory_format=torch.channels_last))

    def exact(images: Tensor) -> Tensor:
        with without_cudnn():
            return interpret(there, images.double())

    return exact
