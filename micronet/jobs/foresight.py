"""What the stages of a pipeline would find wrong only after those before them, found before the first one trains."""

from collections.abc import Iterator, Mapping
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
from micronet.transformation.layer_widths import INPUT, beginning, fits, nearest
from micronet.transformation.quantization import check_names


class Foresight:
    """Looks at stages in their order.

    Until a stage makes new layers, names are those of the network that the first one begins with. After that only a
    name that begins as none of these does is refused: what pruning and fusing make is called after what it was made of.
    """

    def __init__(self, lesson: Lesson) -> None:
        self._task, self._graph = lesson.task, lesson.graph
        self._same_layers = True
        self._teachers = list[Distillation]()  # whose architectures have options, which nothing hashes

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

    @cached_property
    def _known(self) -> frozenset[str]:
        """What its layers, its weights and its input are called."""
        nodes = (node.name for node in self._file.nodes)
        return frozenset({INPUT, *layer_names(self._file).values(), *nodes, *self._file.weights})

    def _check_layers(self, stage: QuantizeStage) -> None:
        if stage.layers and self._same_layers:
            merged, _ = merged_batchnorms(self._file, stage)
            check_names(merged, quantization(stage.bits, stage.quantizer, stage.layers))
        else:
            others = [pattern for pattern in stage.layers if not any(fits(pattern, name) for name in self._known)]
            self._check_beginnings("layers", {pattern: beginning(pattern) for pattern in others})

    def _check_kept(self, stage: SparsifyStage) -> None:
        if self._same_layers:
            kept_weights(self._graph, stage.keep_layers)
        else:
            self._check_beginnings("keep_layers", {name: name for name in stage.keep_layers})

    def _check_beginnings(self, where: str, beginnings: Mapping[str, str]) -> None:
        """Raise SettingsError for a name as it was given, by which it begins, that no layer to come can have."""
        for given, words in beginnings.items():
            if not words.startswith(tuple(self._known)):
                raise SettingsError(
                    f"{where}: no layer of the network that the first stage begins with is called {given!r}, nor does "
                    f"a stage make one that is; the nearest is {nearest(words, self._known)!r}."
                )

    def _check_teacher(self, distillation: Distillation | None) -> None:
        if distillation is not None and distillation not in self._teachers:
            self._task.teacher(distillation)
            renormalization(distillation, self._task)
            self._teachers.append(distillation)


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
