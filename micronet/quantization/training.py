"""Learning on grids that post-training quantization has placed."""

from dataclasses import replace

from micronet.contract import FineTuning, TrainingReport
from micronet.errors import AlreadyQuantized, SettingsError
from micronet.quantization.rounding import Quantized
from micronet.training.fit import fit
from micronet.training.quantized import quantized_network
from micronet.training.task import Task
from micronet.transformation.plain_batch_norms import plain_batch_norms


def train_on_grids(quantized: Quantized, how: FineTuning, task: Task) -> tuple[Quantized, TrainingReport]:
    """What `quantized` becomes by training, its grids where they are; `before` in the report is rounding alone.

    Batch norms are scales and shifts, which learn as such. Arithmetic is float32 on every device: bfloat16 has no room
    for grids of more than 8 bits. Raises AlreadyQuantized where the file brought the grids of its weights, as there
    are no weights in floating point to learn, SettingsError for bfloat16, and NumericalError where training comes
    apart.
    """
    check_precision(how)
    if quantized.before.formats:
        name = next(iter(quantized.before.formats))
        raise AlreadyQuantized(
            f"train: {len(quantized.before.formats)} weights of this network are quantized already ({name} is one). "
            "Start from the network before it was."
        )
    graph = plain_batch_norms(quantized.graph)
    network = quantized_network(graph, quantized.before.weights, shakedrop=how.shakedrop, hold_zeros=how.hold_zeros)
    trained, report = fit(network, how.model_copy(update={"precision": "float32"}), task)
    return replace(quantized, graph=trained, learned=True), report


def check_precision(how: FineTuning) -> None:
    """Raise SettingsError unless training may be in float32."""
    if how.precision == "bfloat16":
        raise SettingsError(
            "train.precision: bfloat16 keeps 8 bits of a number, and grids have up to 16. Use float32, or auto, which "
            "is float32 here."
        )
