"""The training loop: epochs that depend on the seed and the state at their beginning, and on nothing else."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.shapes import shapes
from micronet.analysis.widths import quantizes
from micronet.contract import EpochReport, Training, TrainingReport
from micronet.errors import NumericalError, SettingsError
from micronet.evaluation.accuracy import Measured, evaluate
from micronet.graph.ir import Graph
from micronet.training.ahead import Ahead, Batch
from micronet.training.augmentation import Augmenter
from micronet.training.gradients import EagerGradients, Gradients, RecordedGradients, check_recordable
from micronet.training.images import TrainingImages
from micronet.training.loss import Loss, Teacher
from micronet.training.mixing import mix, soft_targets
from micronet.training.network import TrainableNetwork
from micronet.training.schedule import learning_rate
from micronet.training.state import State
from micronet.training.task import Task


def train(graph: Graph, how: Training, task: Task) -> tuple[Graph, TrainingReport]:
    """`graph` trained, and how it went; as `fit`."""
    return fit(TrainableNetwork(graph, shakedrop=how.shakedrop, hold_zeros=how.hold_zeros), how, task)


def fit(network: TrainableNetwork, how: Training, task: Task) -> tuple[Graph, TrainingReport]:
    """Train `network`, in place, and give the graph that is kept, and how it went.

    Everything an epoch draws comes of the seed and its number, and the journal has the state at the end of each: broken
    off anywhere and called again, it goes on from the last whole epoch, and on one device ends with the same bits; on
    CUDA unless gradients are gathered in whichever order threads come: of indexing, of enlarging, of max pooling where
    windows overlap, as in a ResNet for ImageNet, of adaptive average pooling where sizes do not divide, and of padding
    that reflects or repeats.
    With several processes (`task.world`) each takes its share of every batch, and gradients are averaged. Batch norms
    see a share only; after each epoch all take over the first process's running statistics, so that the network that
    is measured and written down is everybody's. Raises NumericalError where the loss is no number any more, or a logit
    of the network that is kept for a held-out image; between epochs such an image counts as wrong. Raises
    SettingsError for a batch or images that cannot be shared out, or a recording of several processes.
    """
    check_together(how, task)
    return _Run(network.to(task.device), how, task).to_the_end()


def check_together(how: Training, task: Task) -> None:
    """Raise SettingsError where the processes of `task` cannot train so together."""
    task.world.check(how.batch, len(task.train))
    if how.cuda_graphs and task.world.size > 1:
        raise SettingsError("cuda_graphs is for one process: what several exchange is not recorded. Leave it out.")


@dataclass(frozen=True, slots=True)
class Length:
    """How long a training is; the last epoch may be cut short."""

    epochs: int
    steps: int
    steps_per_epoch: int

    @classmethod
    def of(cls, how: Training, images: int) -> "Length":
        """Batches are whole, where there is one: an odd rest would weigh more than the others."""
        per_epoch = max(1, images // how.batch)
        steps = how.epochs * per_epoch if how.steps is None else min(how.steps, how.epochs * per_epoch)
        return cls(math.ceil(steps / per_epoch), steps, per_epoch)


class _Run:
    def __init__(self, network: TrainableNetwork, how: Training, task: Task) -> None:
        self._network, self._how, self._task = network, how, task
        self._images = TrainingImages(task.train, task.device, Augmenter(how.augmentation))
        self._length = Length.of(how, len(self._images))
        self._classes = shapes(network.graph())[network.output][1]
        teacher = Teacher.of(how, task)
        loss = Loss(task.world.together(network, task.device), in_half(how, network.graph(), task.device), teacher)
        self._ahead = Ahead(task.device) if task.device.type == "cuda" else None
        self._gradients: Gradients = EagerGradients(loss, network)
        if how.cuda_graphs and task.device.type == "cuda":
            check_recordable(network.graph(), "the network")
            if teacher is not None:
                check_recordable(teacher.network.graph(), "the teacher")
            self._gradients = RecordedGradients(loss, network)
        self._state = State(network, how)

    def to_the_end(self) -> tuple[Graph, TrainingReport]:
        state, task = self._state, self._task
        if not state.restore_(task.journal):
            task.world.share_(state.tensors())
            measured = self._measured()
            state.before = measured.accuracy
            state.note(measured, 0)
            state.save(task.journal)
        while state.epoch < self._length.epochs:
            self._tell(state.epoch, state.epoch * self._length.steps_per_epoch)
            loss, steps, rate = self._epoch(state.epoch)
            state.epoch += 1
            task.world.share_(state.tensors())
            measured = self._measured()
            state.note(measured, state.epoch)
            state.reports.append(
                EpochReport(epoch=state.epoch, steps=steps, loss=loss, learning_rate=rate, holdout=measured.accuracy)
            )
            state.save(task.journal)
        self._tell(state.epoch, self._length.steps)
        assert state.before is not None
        self._check_kept()
        report = TrainingReport(
            before=state.before,
            epochs=tuple(state.reports),
            kept=state.kept,
            after=state.accuracy_of_kept(),
            images=sum(report.steps for report in state.reports) * self._images_a_step(),
        )
        return state.kept_graph(), report

    def _images_a_step(self) -> int:
        """Of all processes together: a batch, or fewer where there are not as many."""
        there = min(self._how.batch, len(self._images))
        return len(self._task.world.part(torch.arange(there))) * self._task.world.size

    def _measured(self) -> Measured:
        """The network as it would be kept now, on the held-out images.

        One that gives no numbers may learn to: a fresh deep network overflows before its batch norms know its values.
        """
        task, graph = self._task, self._state.graph
        return task.world.from_first(lambda: evaluate(graph(), task.holdout, task.device, count_infinite=True))

    def _check_kept(self) -> None:
        state = self._state
        if state.infinite:
            raise NumericalError(
                f"the network that is kept, that after epoch {state.kept}, gives NaN or infinity for {state.infinite} "
                f"of {len(self._task.holdout)} held-out images. After few steps the running statistics of batch norms "
                "lag behind what values are: more steps help. Else check learning_rate, normalization, "
                "and the weights that training began with."
            )

    def _tell(self, epoch: int, step: int) -> None:
        if self._length.epochs > 1:
            self._task.advance(epoch, self._length.epochs, "epochs")
        else:
            self._task.advance(step, self._length.steps, "steps")

    def _epoch(self, epoch: int) -> tuple[float, int, float]:
        """Mean loss, batches, and the last learning rate of one epoch."""
        seed = derived_seed(self._task.seed, epoch)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self._images), generator=generator)
        if self._task.world.rank:  # who is not the first draws other augmentations and other noise
            seed = derived_seed(self._task.seed, epoch, self._task.world.rank)
            generator.manual_seed(seed)
        first = epoch * self._length.steps_per_epoch
        count = min(self._length.steps_per_epoch, self._length.steps - first)
        losses = torch.zeros((), device=self._task.device)
        rate = 0.0
        self._network.train()
        with torch.random.fork_rng(devices=[self._task.device] if self._task.device.type == "cuda" else []):
            torch.manual_seed(seed)  # of what the network itself draws: dropout, ShakeDrop
            batches = self._batches(order, count, generator)
            for step, batch in enumerate(batches if self._ahead is None else self._ahead(batches)):
                rate = learning_rate(self._how, first + step, self._length.steps, self._length.steps_per_epoch)
                losses += self._gradients(*batch)
                self._state.step_(rate)
                if self._length.epochs == 1:
                    self._tell(epoch, step + 1)
        self._network.eval()
        loss = self._task.world.mean(losses) / max(1, count)
        if not math.isfinite(loss):
            raise NumericalError(
                f"the loss is {loss} in epoch {epoch + 1}: training came apart. A lower learning_rate "
                f"({self._how.learning_rate:g} now) or some warmup_epochs help."
            )
        if self._task.world.mean(self._not_finite()):
            raise NumericalError(
                f"weights or running statistics are infinite or NaN after epoch {epoch + 1}, whose loss is {loss:g}: "
                f"training came apart. A lower learning_rate ({self._how.learning_rate:g} now) helps."
            )
        return loss, count, rate

    def _not_finite(self) -> Tensor:
        """How many of the tensors that change while training have a value which is no number."""
        finite = [tensor.isfinite().all() for tensor in self._network.tensors().values()]
        return sum((~one for one in finite), torch.zeros((), device=self._task.device))

    def _batches(self, order: Tensor, count: int, generator: torch.Generator) -> Iterator[Batch]:
        """`count` batches of the images in this order, int64 (n,), or this process's parts of them."""
        size, how = self._how.batch, self._how
        for step in range(count):
            indices = self._task.world.part(order[step * size : (step + 1) * size])
            images, labels = self._images.batch(indices, generator)
            targets = soft_targets(labels, self._classes, how.label_smoothing)
            images, targets = mix(images, targets, how, generator)
            if self._task.device.type == "cuda" and images.dim() == 4:
                images = images.contiguous(memory_format=torch.channels_last)
            yield images, targets


def in_half(how: Training, graph: Graph, device: torch.device) -> bool:
    """Whether convolutions and products are computed in bfloat16.

    By itself on CUDA alone, and never where values are on grids: those of over 8 bits need more than it has.
    """
    if how.precision == "auto":
        return device.type == "cuda" and not quantizes(graph)
    return how.precision == "bfloat16"


def derived_seed(*parts: int) -> int:
    """A seed for a part of a computation: 63 bits of the SHA-256 of what names it."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1
