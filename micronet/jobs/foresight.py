"""What the stages of a pipeline would find wrong only after those before them, found before the first one trains."""

import difflib
from collections.abc import Iterable, Iterator
from functools import cached_property

from micronet.analysis.counts import layer_names
from micronet.contract import Distillation, Stage, Training
from micronet.contract.pipeline import PruneStage, QuantizeStage, SparsifyStage, TrainStage
from micronet.errors import SettingsError
from micronet.graph.ir import Graph
from micronet.jobs.learning import Lesson
from micronet.jobs.quantize import check_quantizing
from micronet.network_file import from_bytes, to_bytes
from micronet.quantization.rounding import quantization
from micronet.quantization.stage import merged_batchnorms
from micronet.sparsity.magnitude import kept_weights
from micronet.training.fit import check_together
from micronet.training.loss import renormalization
from micronet.transformation.layer_widths import INPUT
from micronet.transformation.quantize import check_names

_ANY = "*"


class Foresight:
    """Looks at stages in their order.

    Until a stage makes new layers, names are those of the network that the first one begins with. After that only a
    name that begins as none of these does is refused: what pruning and fusing make is called after what it was made of.
    """

    def __init__(self, lesson: Lesson) -> None:
        self._task, self._graph = lesson.task, lesson.graph
        self._same_layers = True
        self._teachers = set[Distillation]()

    def check(self, stage: Stage) -> None:
        """Raise SettingsError for what is certain to fail in the next stage, and what reading its teacher raises."""
        self._same_layers &= stage.stage not in ("prune", "fuse")
        if isinstance(stage, QuantizeStage):
            check_quantizing(stage)
            self._check_layers(stage)
        if isinstance(stage, SparsifyStage):
            self._check_kept(stage)
        for how in _trainings(stage):
            check_together(how, self._task)
            self._check_teacher(how.distillation)

    @cached_property
    def _file(self) -> Graph:
        """The network as a later stage reads it."""
        return from_bytes(to_bytes(self._graph))

    def _check_layers(self, stage: QuantizeStage) -> None:
        if stage.layers and self._same_layers:
            merged, _ = merged_batchnorms(self._file, stage)
            check_names(merged, quantization(stage.bits, stage.quantizer, stage.layers))
        else:
            self._check_beginnings("layers", stage.layers)

    def _check_kept(self, stage: SparsifyStage) -> None:
        if self._same_layers:
            kept_weights(self._graph, stage.keep_layers)
        else:
            self._check_beginnings("keep_layers", stage.keep_layers)

    def _check_beginnings(self, where: str, patterns: Iterable[str]) -> None:
        """Raise SettingsError for a name, or with a star a beginning of names, that no layer to come can have."""
        graph = self._file if patterns else self._graph
        known = {INPUT, *layer_names(graph).values(), *(node.name for node in graph.nodes), *graph.weights}
        for pattern in patterns:
            words = pattern.removesuffix(_ANY)
            begins_others = words != pattern and any(name.startswith(words) for name in known)
            if not begins_others and not words.startswith(tuple(known)):
                near = difflib.get_close_matches(words, sorted(known), n=1, cutoff=0)[0]
                raise SettingsError(
                    f"{where}: no layer of the network that the first stage begins with is called {pattern!r}, nor "
                    f"does a stage make one that is; the nearest is {near!r}."
                )

    def _check_teacher(self, distillation: Distillation | None) -> None:
        if distillation is not None and distillation not in self._teachers:
            self._task.teacher(distillation)
            renormalization(distillation, self._task)
            self._teachers.add(distillation)


def _trainings(stage: Stage) -> Iterator[Training]:
    """How the stage trains; nothing of a sparsify or quantize that does not."""
    match stage:
        case TrainStage():
            yield stage
        case PruneStage():
            yield stage.fine_tuning
        case SparsifyStage() if stage.fine_tuning.epochs and stage.fine_tuning.steps != 0:
            yield stage.fine_tuning
        case QuantizeStage() if stage.train is not None:
            yield stage.train
