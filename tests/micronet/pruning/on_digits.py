"""The prune stage on a network that was trained on digits."""

from functools import cache

from micronet.contract import NO_AUGMENTATION, FineTuning, Pruning, PruningReport
from micronet.graph.ir import Graph
from micronet.journal import Journal
from micronet.pruning.stage import prune
from micronet.training.fit import train
from tests.micronet.training.lessons import SHORT, digits_graph, digits_task

TUNING = FineTuning(epochs=2, batch=64, learning_rate=0.05, augmentation=NO_AUGMENTATION)
HOW = Pruning(ratio=0.35, rounds=2, grow_back=0.25, factor_images=200, fine_tuning=TUNING)


@cache
def trained() -> Graph:
    how = SHORT.model_copy(update={"epochs": 6})
    return train(digits_graph(), how, digits_task(1000))[0]


def pruned(how: Pruning = HOW, journal: Journal | None = None) -> tuple[Graph, PruningReport]:
    return prune(trained(), how, digits_task(500, journal))


@cache
def whole() -> tuple[Graph, PruningReport]:
    return pruned()
