"""Showing a graph's values to observers, on training images."""

from collections.abc import Mapping

from torch import Tensor

from micronet.evaluation.inputs import Inputs
from micronet.evaluation.lowering import lower
from micronet.evaluation.threads import in_order
from micronet.graph.ir import Graph
from micronet.progress import Advance, unheard
from micronet.transformation.ranges import Watcher

CALIBRATION_BATCH = 25
"""Images per update of the running averages."""


def calibrate(graph: Graph, observers: Mapping[str, Watcher], inputs: Inputs, advance: Advance = unheard) -> None:
    """Show every value that has an observer, for all `inputs` in batches and in their order.

    Batches are measured side by side and taken in one after the other, so that the result does not depend on how many
    processors there are. The first is taken in before any other is measured, as observers may ask.
    """
    program = lower(graph, CALIBRATION_BATCH, merge=False)

    def measure(start: int) -> tuple[dict[str, Tensor], int]:
        images, labels = inputs.batch(start, CALIBRATION_BATCH)
        measured: dict[str, Tensor] = {}

        def observe(name: str, value: Tensor) -> None:
            if name in observers:
                measured[name] = observers[name].measure(_one_group(value))

        program.run(images, observe)
        return measured, len(labels)

    done = 0
    starts = inputs.starts(CALIBRATION_BATCH)
    for part in (starts[:1], starts[1:]):
        for measured, count in in_order(measure, part):
            for name, measurements in measured.items():
                observers[name].take(measurements)
            done += count
            advance(done, len(inputs), "images")


def _one_group(value: Tensor) -> Tensor:
    """(1, n): all elements in the order they lie in memory, which no rule depends on."""
    if value.dim() == 4:
        value = value.permute(0, 2, 3, 1)
    return value.reshape(1, -1)
