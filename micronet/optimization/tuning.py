"""A small budget of training: a network learns, on the grids it has, to answer as the one in floating point does.

No labels (Hinton et al. 2015; on grids: Mishra and Marr 2018, "Apprentice", arXiv 1711.05852). Grids stay where they
are and zeros are held, so that neither widths nor storage grow; what a filter's sum may come to is proven anew, of the
weights it ends with. Steps of grids lie far apart, those of depthwise filters a thousand times: each weight is counted
in its own, and Adam moves all of them alike. They begin anywhere in their cells: from the middle of them, all would
stay for as long, and then leave at once.
"""

from dataclasses import replace

import torch
from torch import Tensor

from micronet.contract import Distillation, FineTuning, TrainingReport, Tuning
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Node, Ref
from micronet.optimization.layerwise import within_bias_grid
from micronet.optimization.plan import Subject
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.quantized import OnGrid
from micronet.training.task import Task
from micronet.transformation.quantize import along_axis

aten = torch.ops.aten


def tuned(subject: Subject, graph: Graph, how: Tuning, task: Task) -> tuple[Graph, TrainingReport]:
    """What `graph`, that `carry_out` made of `subject`, becomes by training; by the task's held-out images, the better
    of what it was and what it is.

    Weights without a grid stay as they are. Raises NumericalError where training comes apart.
    """
    biases = _bias_grids(subject, graph)
    views = {name: _InSteps(graph.weights[name], grid) for name, grid in {**graph.formats, **biases}.items()}
    generator = torch.Generator().manual_seed(task.seed)
    counted = {name: _anywhere(view.counted(graph.weights[name]), generator) for name, view in views.items()}
    latent = {**graph.weights, **counted}
    fixed = graph.literals | (latent.keys() - views.keys())
    network = TrainableNetwork(replace(graph, weights=latent, formats={}, literals=fixed), views=views)
    trained, report = fit(network, _training(how), replace(task, teacher=lambda _: subject.graph))
    ends = {
        name: within_bias_grid(trained.weights[name].double(), torch.tensor(grid.steps).double(), graph.formats[name])
        for name, grid in biases.items()
    }
    return replace(graph, weights={**trained.weights, **ends}), report


SPREAD = 0.4
"""Of a step, how far from the middle of its cell a weight begins, at most."""


def _anywhere(counted: Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers, each moved within its cell; zeros stay."""
    return torch.where(counted != 0, counted + SPREAD * (2 * torch.rand(counted.shape, generator=generator) - 1), 0.0)


class _InSteps:
    """A view of a weight that is counted in steps of its grid: the point of the grid that is nearest to it."""

    def __init__(self, weight: Tensor, grid: Grid) -> None:
        self._on_grid = OnGrid(grid)
        self._steps = along_axis(weight, grid)[0]

    def counted(self, weight: Tensor) -> Tensor:
        """`weight` in steps."""
        return weight / self._steps

    def __call__(self, counted: Tensor) -> Tensor:
        self._steps = self._steps.to(counted.device)
        return self._on_grid(counted * self._steps)


def _bias_grids(subject: Subject, graph: Graph) -> dict[str, Grid]:
    """Of each bias on a grid, by its name: the steps of its filters, none finer than their products, as
    `place_bias` has them."""
    nodes, found = graph.by_name(), dict[str, Grid]()
    for name in subject.sites:
        read, weight, *rest = (argument.name for argument in nodes[name].args[:3] if isinstance(argument, Ref))
        if rest and rest[0] in graph.formats:
            bias = graph.formats[rest[0]]
            steps = _step(nodes[read]) * torch.tensor(graph.formats[weight].steps, dtype=torch.float64)
            coarse = steps.clamp(min=bias.steps[0]).expand(graph.weights[rest[0]].shape).tolist()
            found[rest[0]] = replace(bias, steps=tuple(coarse), zero_points=(0,) * len(coarse), axis=0)
    return found


def _step(quantizer: Node) -> float:
    step = quantizer.args[1]
    assert quantizer.target is aten.fake_quantize_per_tensor_affine.default
    assert isinstance(step, float)
    return step


def _training(how: Tuning) -> FineTuning:
    """Of the teacher alone; float32, since bfloat16 has no room for grids of more than 8 bits."""
    return FineTuning(
        epochs=how.steps,  # enough: the steps end it
        steps=how.steps,
        batch=how.batch,
        optimizer="adam",
        learning_rate=how.learning_rate,
        clip_norm=None,
        weight_decay=0.0,
        mixup=how.mixup,
        augmentation=how.augmentation,
        distillation=Distillation(teacher=_UPLOADED, weight=1.0, temperature=how.temperature),
        keep="best",
        precision="float32",
    )


_UPLOADED = "0" * 64
"""Stands for the checksum of the uploaded file, whose network is at hand already."""
