"""What `test_distributed` has torchrun start: a few steps on digits; the first process writes down what came of it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from micronet.contract import NO_AUGMENTATION, Training
from micronet.graph.ir import Graph
from micronet.journal import DirectoryJournal
from micronet.training.distributed import SharedJournal, World, join
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.transformation.prepare import prepare
from tests.micronet.training.lessons import digits_graph, digits_task

HOW = Training(epochs=2, steps=3, batch=64, learning_rate=0.2, schedule="constant", augmentation=NO_AUGMENTATION)


def learned(directory: Path, world: World, how: Training, *, fused: bool) -> tuple[Graph, dict[str, object]]:
    """The digits network, with its batch norms or with these merged, trained on 128 images: two steps an epoch."""
    graph = digits_graph(seed=world.rank)  # the first one's is everybody's
    task = digits_task(128, SharedJournal(world, DirectoryJournal(directory / str(world.rank))))
    trained, report = fit(TrainableNetwork(prepare(graph, fuse=fused)), how, replace(task, world=world))
    return trained, report.model_dump()


def main(directory: Path) -> None:
    world = join(torch.device("cpu"))
    for name, how, fused in VARIANTS:
        graph, report = learned(directory / name, world, how, fused=fused)
        torch.save(dict(graph.weights), directory / f"{name}.{world.rank}.pth")
        (directory / f"{name}.{world.rank}.json").write_text(json.dumps(report))


VARIANTS = (
    ("one_step", HOW.model_copy(update={"steps": 1}), True),
    ("three_steps", HOW.model_copy(update={"ema": 0.5, "keep": "best"}), False),
)

if __name__ == "__main__":
    main(Path(sys.argv[1]))
