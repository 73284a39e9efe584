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

from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.analysis.widths import activation_grid
from micronet.contract import Distillation, FineTuning, TrainingReport, Tuning
from micronet.graph.grid import Grid, along_axis
from micronet.graph.ir import Graph, Node, Ref
from micronet.optimization.layerwise import bias_ends
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.quantized import OnGrid
from micronet.training.task import Task

SPREAD = 0.4
"""Of a step, how far from the middle of its cell a weight begins, at most."""


def tuned(graph: Graph, teacher: Graph, how: Tuning, task: Task) -> tuple[Graph, TrainingReport]:
    """What `graph`, made of `teacher` by `carry_out`, becomes by training, or what it was where that is no better.

    Which is better the task's held-out images say, by their labels; who wants no labels to count gives the teacher's
    answers for them. Weights without a grid stay as they are. Raises NumericalError where training comes apart, and
    SettingsError as `fit` does.
    """
    generator = torch.Generator().manual_seed(task.seed)
    views = {name: _InSteps(graph.weights[name], grid) for name, grid in graph.formats.items()}
    views |= _biases(graph)
    latent = {name: _anywhere(view.counted(graph.weights[name]), generator) for name, view in views.items()}
    fixed = graph.literals | (graph.weights.keys() - views.keys())
    start = replace(graph, weights={**graph.weights, **latent}, formats={}, literals=fixed)
    network = TrainableNetwork(start, shakedrop=False, views=views)
    trained, report = fit(network, _training(how), replace(task, teacher=lambda _: teacher))
    return replace(graph, weights=trained.weights), report


class _InSteps:
    """A view of a weight that is counted in steps of its grid: the point of the grid that is nearest to it.

    What is zero stays zero. Gradients are those of the weight itself, whatever its steps, which are too small for some
    to be told from nothing.
    """

    def __init__(self, weight: Tensor, grid: Grid, ends: tuple[Tensor, Tensor] | None = None) -> None:
        self._on_grid, self._ends = OnGrid(grid), ends
        self._steps, self._there = along_axis(weight, grid)[0], weight != 0

    def counted(self, weight: Tensor) -> Tensor:
        """`weight` in steps."""
        return weight / self._steps

    def __call__(self, counted: Tensor) -> Tensor:
        if self._steps.device != counted.device:
            self._steps, self._there = self._steps.to(counted.device), self._there.to(counted.device)
            self._ends = self._ends and (self._ends[0].to(counted.device), self._ends[1].to(counted.device))
        weight = self._on_grid((counted * self._steps).detach() + (counted - counted.detach()))
        return (weight if self._ends is None else weight.clamp(*self._ends)) * self._there


def _anywhere(counted: Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers, each moved within its cell; zeros stay."""
    return torch.where(counted != 0, counted + SPREAD * (2 * torch.rand(counted.shape, generator=generator) - 1), 0.0)


def _biases(graph: Graph) -> dict[str, _InSteps]:
    """Of each bias on a grid, by its name: in steps of its filters, none finer than their products, as `place_bias` has
    them."""
    makers, found = graph.by_name(), dict[str, _InSteps]()
    for node in graph.nodes:
        names = [argument.name for argument in node.args[:3] if isinstance(argument, Ref)]
        if node.target not in DOT_PRODUCTS or not graph.formats.keys() >= set(names[1:]) or len(names) < 3:
            continue
        read, weight, bias = names
        grid, value = graph.formats[bias], graph.weights[bias]
        products = _step(makers, read) * torch.tensor(graph.formats[weight].steps, dtype=torch.float64)
        steps = products.clamp(min=grid.steps[0]).expand(value.shape)
        coarse = replace(grid, steps=tuple(steps.tolist()), zero_points=(0,) * len(steps), axis=0)
        low, high = bias_ends(steps, grid)
        found[bias] = _InSteps(value, coarse, (low.float(), high.float()))
    return found


def _step(makers: dict[str, Node], name: str) -> float:
    """Of the grid that the value `name` was put on before it was laid out as it is."""
    grid = activation_grid(makers[name])
    return _step(makers, makers[name].refs()[0].name) if grid is None else grid.steps[0]


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
