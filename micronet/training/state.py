"""Everything a training carries from one step to the next, and how it is written down."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from micronet.contract import Accuracy, EpochReport, Training
from micronet.evaluation.accuracy import Measured
from micronet.graph.ir import Graph
from micronet.journal import Entry, Journal
from micronet.training.network import TrainableNetwork

ENTRY = "fit"


class State:
    """Weights, momenta, their running average, the best so far, and what was reported.

    kept      the epoch whose network would be kept, 0 for the one before the first
    infinite  how many held-out images it gives NaN or infinity for
    """

    def __init__(self, network: TrainableNetwork, how: Training) -> None:
        self._network, self._how = network, how
        self.optimizer = _optimizer(network, how)
        self._average = {name: tensor.clone() for name, tensor in network.tensors().items()} if how.ema else {}
        self._steps = 0
        self._best: dict[str, Tensor] = {}
        self._best_correct = -1
        self.kept = 0
        self.infinite = 0
        self.epoch = 0
        self.before: Accuracy | None = None
        self.reports: list[EpochReport] = []

    def step_(self, rate: float) -> None:
        """One step of the optimizer, at this learning rate, and all that goes with it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self._how.clip_norm is not None:
            self._network.hold_gradients_()
            nn.utils.clip_grad_norm_(self._parameters(), self._how.clip_norm)
        self.optimizer.step()
        self._network.hold_zeros_()
        self._steps += 1
        if self._average:
            now, decay = self._network.tensors(), decay_of_average(self._how.ema, self._steps)
            # As torch's optimizers do it: all tensors by few kernels, where each alone would wait for its launch.
            torch._foreach_lerp_(list(self._average.values()), [now[name] for name in self._average], 1 - decay)

    def graph(self) -> Graph:
        """The network as it would be kept now: with averaged weights, where there are any."""
        return self._with(self._average) if self._average else self._network.graph()

    def note(self, measured: Measured, epoch: int) -> None:
        """Keep what there is now, after `epoch`, unless the best is kept and was better.

        A network that gives numbers for all images is better than any that does not; then more correct answers are
        better, then fewer without a number, then the earlier epoch.
        """
        if self._how.keep == "last":
            self.kept, self.infinite = epoch, measured.infinite
        elif self._best_correct < 0 or _rank(measured.correct, measured.infinite) > _rank(
            self._best_correct, self.infinite
        ):
            self._best_correct, self.kept, self.infinite = measured.correct, epoch, measured.infinite
            now = self._average or self._network.tensors()
            self._best = {name: tensor.clone() for name, tensor in now.items()}

    def kept_graph(self) -> Graph:
        """The network that is kept."""
        return self._with(self._best) if self._best else self.graph()

    def accuracy_of_kept(self) -> Accuracy:
        """On the held-out images."""
        if self.kept:
            return self.reports[self.kept - 1].holdout
        assert self.before is not None
        return self.before

    def tensors(self) -> list[Tensor]:
        """What a batch changes in place, momenta aside: weights, running statistics, their averages."""
        return [*self._network.tensors().values(), *self._average.values()]

    def save(self, journal: Journal) -> None:
        """Write all of it down."""
        momenta = {
            f"momenta/{kind}/{index}": momentum
            for index, kinds in self.optimizer.state_dict()["state"].items()
            for kind, momentum in kinds.items()
            if momentum is not None
        }
        parts = {"now": self._network.tensors(), "average": self._average, "best": self._best}
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        facts = {
            "epoch": self.epoch,
            "kept": self.kept,
            "best_correct": self._best_correct,
            "infinite": self.infinite,
            "before": None if self.before is None else self.before.model_dump(),
            "reports": [report.model_dump() for report in self.reports],
        }
        journal.write(ENTRY, Entry(facts, {**tensors, **momenta}))

    def restore_(self, journal: Journal) -> bool:
        """Be what was written down last; whether there was anything."""
        entry = journal.read(ENTRY)
        if entry is None or not entry.tensors:  # none, or one of a training that had ended
            return False
        device = next(iter(self._network.parameters())).device
        tensors = {name: tensor.to(device) for name, tensor in entry.tensors.items()}
        self._network.load_(_part(tensors, "now"))
        self._average, self._best = _part(tensors, "average"), _part(tensors, "best")
        momenta: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _part(entry.tensors, "momenta").items():
            kind, index = name.split("/")
            momenta.setdefault(int(index), {})[kind] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": momenta})
        self.epoch, self.kept, self._best_correct = (entry.facts[name] for name in ("epoch", "kept", "best_correct"))
        self.infinite = entry.facts.get("infinite", 0)  # an earlier version ended where there were any
        self.before = Accuracy.model_validate(entry.facts["before"])
        self.reports = [EpochReport.model_validate(report) for report in entry.facts["reports"]]
        self._steps = sum(report.steps for report in self.reports)
        return True

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _with(self, tensors: dict[str, Tensor]) -> Graph:
        """The network's graph with these in place of its own."""
        own = {name: tensor.clone() for name, tensor in self._network.tensors().items()}
        self._network.load_(tensors)
        graph = self._network.graph()
        self._network.load_(own)
        return graph


def _rank(correct: int, infinite: int) -> tuple[bool, int, int]:
    """What a network is compared by that answers so many images correctly, and so many with NaN or infinity."""
    return infinite == 0, correct, -infinite


def decay_of_average(ema: float, step: int) -> float:
    """What the average so far weighs at step `step` (from 1): as TensorFlow's moving average has it, less at first.

    With the same decay from the start, most of a short training's average would be the weights it started with.
    """
    return min(ema, (1 + step) / (10 + step))


def _optimizer(network: TrainableNetwork, how: Training) -> torch.optim.Optimizer:
    groups = [
        {"params": network.decayed(), "weight_decay": how.weight_decay},
        {"params": network.undecayed(), "weight_decay": 0.0},
    ]
    if how.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=how.learning_rate, betas=(how.momentum, 0.999))
    return torch.optim.SGD(groups, lr=how.learning_rate, momentum=how.momentum, nesterov=how.momentum > 0)


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}


def forget_(journal: Journal) -> None:
    """Empty what a training wrote down: a finished one takes no room, also where it was stopped right after its end."""
    there = journal.read(ENTRY)
    if there is not None and there.tensors:
        journal.write(ENTRY, Entry())
