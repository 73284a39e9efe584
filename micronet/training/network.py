"""A graph whose weights learn: the same nodes, run with gradients."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from micronet.analysis.dot_products import factors
from micronet.analysis.widths import grid_tensors
from micronet.architectures.shakedrop import ShakeDrop
from micronet.architectures.stochastic_depth import StochasticDepth
from micronet.errors import SettingsError
from micronet.graph.interpret import last_uses
from micronet.graph.ir import Graph, Node, Ref, Target

aten = torch.ops.aten

View = Callable[[Tensor], Tensor]
"""What the network computes with in place of a weight: the weight on its grid, say. Differentiable."""
Behaviour = Callable[..., object]
"""What an operation does while training, from its operands; evaluation has the operation itself."""

STATISTICS_MOMENTUM = 0.1
"""What a batch weighs in a batch norm's running mean and variance."""
_SHAKEDROP_LAYER = "shake_drop"
_STOCHASTIC_DEPTH_LAYER = "stochastic_depth"


class TrainableNetwork(nn.Module):
    """Logits (N, classes) of images (N, *input_shape), by a graph with weights that learn.

    In training mode batch norms take their statistics from the batch and move their running ones, dropout drops values,
    channels or, in place of stochastic depth, whole images, and, with `shakedrop`, the residual branches that the graph
    scales in place of ShakeDrop are shaken. In evaluation mode it is the graph to the last bit. `views` replace weights
    by functions of them, by name. Zeros that the weights of dot products have are held if `hold_zeros`: call
    `hold_zeros_` after each step.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        shakedrop: bool = True,
        hold_zeros: bool = True,
        views: Mapping[str, View] | None = None,
    ) -> None:
        super().__init__()
        self._graph, self._views = graph, dict(views or {})
        learned = learned_weights(graph)
        self._learned = {name: index for index, name in enumerate(learned)}
        self._fixed = {name: index for index, name in enumerate(n for n in graph.weights if n not in self._learned)}
        self.parameters_list = nn.ParameterList(nn.Parameter(graph.weights[name].clone()) for name in learned)
        self.fixed = nn.ParameterList(
            nn.Parameter(graph.weights[name].clone(), requires_grad=False) for name in self._fixed
        )
        multiplied = factor_names(graph)
        self._decayed = tuple(self._learned[name] for name in learned if name in multiplied)
        self._held = {
            index: (self.parameters_list[index].detach() != 0).to(self.parameters_list[index].dtype)
            for index in (self._decayed if hold_zeros else ())
            if not bool(self.parameters_list[index].detach().all())
        }
        self._behaviours = _behaviours(graph, shakedrop)
        self._dead = last_uses(graph)

    @property
    def output(self) -> str:
        """Name of the logits."""
        return self._graph.output

    def forward(self, images: Tensor) -> Tensor:
        """(N, *input_shape) to (N, classes)."""
        graph = self._graph
        values: dict[str, object] = {**self.weights(), graph.input: images}
        behaviours = self._behaviours if self.training else {}
        for node, dead in zip(graph.nodes, self._dead, strict=True):
            args, kwargs = node.operands(values)
            values[node.name] = behaviours.get(node.name, node.target)(*args, **kwargs)
            for name in dead:
                del values[name]
        logits = values[graph.output]
        assert isinstance(logits, Tensor)
        return logits

    def weights(self) -> dict[str, Tensor]:
        """Every weight of the graph as the network computes with it, views applied."""
        fixed = {name: self.fixed[index].detach() for name, index in self._fixed.items()}
        learned: dict[str, Tensor] = {name: self.parameters_list[index] for name, index in self._learned.items()}
        return {**fixed, **learned, **{name: view(learned[name]) for name, view in self._views.items()}}

    def graph(self) -> Graph:
        """The graph with the weights as they are now, on the CPU."""
        with torch.no_grad():
            now = self.weights()
        weights = {name: now[name].detach().cpu().clone().contiguous() for name in self._graph.weights}
        return replace(self._graph, weights=weights)

    def decayed(self) -> list[nn.Parameter]:
        """Weights of convolutions and linear layers, which weight decay is for."""
        return [self.parameters_list[index] for index in self._decayed]

    def undecayed(self) -> list[nn.Parameter]:
        """All other weights that learn: biases, batch norms."""
        return [p for index, p in enumerate(self.parameters_list) if index not in self._decayed]

    @torch.no_grad()
    def hold_zeros_(self) -> None:
        """Put back the zeros that an optimizer's step has filled."""
        self._hold_([(self.parameters_list[index], index) for index in self._held])

    @torch.no_grad()
    def hold_gradients_(self) -> None:
        """Let the gradients of zeros that are held be zero too: what cannot move has no part in their norm."""
        gradients = ((self.parameters_list[index].grad, index) for index in self._held)
        self._hold_([(gradient, index) for gradient, index in gradients if gradient is not None])

    def _hold_(self, tensors: list[tuple[Tensor, int]]) -> None:
        """Zeros where the parameters of these numbers hold them."""
        if not tensors:
            return
        device = tensors[0][0].device
        if any(kept.device != device for kept in self._held.values()):
            self._held = {index: kept.to(device) for index, kept in self._held.items()}
        # As torch's optimizers do it: all tensors by few kernels, where each alone would wait for its launch.
        torch._foreach_mul_([tensor for tensor, _ in tensors], [self._held[index] for _, index in tensors])

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes while training, by name: the weights that learn, and running statistics."""
        learned: dict[str, Tensor] = {name: self.parameters_list[i].detach() for name, i in self._learned.items()}
        fixed = {name: self.fixed[index].detach() for name, index in self._fixed.items()}
        return {**learned, **{name: tensor for name, tensor in fixed.items() if tensor.is_floating_point()}}

    @torch.no_grad()
    def load_(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors()` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])


def learned_weights(graph: Graph) -> list[str]:
    """Weights that training changes by gradients: floating point, no literals, no statistics, no quantizers' steps."""
    fixed = graph.literals | grid_tensors(graph)
    statistics = {
        argument.name
        for node in graph.nodes
        if node.target is aten.batch_norm.default
        for argument in node.args[3:5]
        if isinstance(argument, Ref)
    }
    return [
        name
        for name, weight in graph.weights.items()
        if weight.is_floating_point() and name not in fixed and name not in statistics
    ]


def factor_names(graph: Graph) -> frozenset[str]:
    """Weights that are multiplied with values in dot products: what weight decay, sparsity and the like are about."""
    return frozenset(name for node in graph.nodes for name in factors(node) if name in graph.weights)


def is_shakedrop(node: Node) -> bool:
    """Whether a node scales a residual branch by what ShakeDrop passes on average."""
    if node.target is not aten.mul.Tensor or not node.layer.endswith(_SHAKEDROP_LAYER):
        return False
    return isinstance(node.args[1], float) and 0 <= node.args[1] < 1


def is_stochastic_depth(node: Node) -> bool:
    """Whether a node, which does nothing, stands where training drops the residual branches of whole images."""
    return node.target is aten.dropout.default and node.layer.endswith(_STOCHASTIC_DEPTH_LAYER)


def _behaviours(graph: Graph, shakedrop: bool) -> dict[str, Behaviour]:
    behaviours: dict[str, Behaviour] = {}
    for node in graph.nodes:
        if node.target is aten.batch_norm.default and not _is_frozen(graph, node):
            behaviours[node.name] = _batch_norm
        elif is_stochastic_depth(node):
            behaviours[node.name] = _Noise(StochasticDepth(_number(node)).train())
        elif node.target in (aten.dropout.default, aten.feature_dropout.default):
            behaviours[node.name] = partial(_dropout, node.target)
        elif shakedrop and is_shakedrop(node):
            behaviours[node.name] = _Noise(ShakeDrop(1 - _number(node)).train())
    return behaviours


def _is_frozen(graph: Graph, norm: Node) -> bool:
    """Whether a batch norm's mean and variance are literals: it is a scale and a shift, and stays one."""
    return any(isinstance(a, Ref) and a.name in graph.literals for a in norm.args[3:5])


def _batch_norm(*args: object) -> object:
    x, scale, shift, mean, variance, _, _, epsilon, cudnn = args
    assert isinstance(x, Tensor)
    if x.numel() == x.shape[1]:
        raise SettingsError(
            "a batch norm sees one value for each channel, of which there is no variance: learning needs a batch of 2 "
            "images at least for each process, and as many to learn from."
        )
    return aten.batch_norm.default(x, scale, shift, mean, variance, True, STATISTICS_MOMENTUM, epsilon, cudnn)


def _dropout(target: Target, x: Tensor, probability: float, _train: bool) -> object:
    return target(x, probability, True)


def _number(node: Node) -> float:
    """What a node says of its noise, behind the branch."""
    number = node.args[1]
    assert isinstance(number, float)
    return number


class _Noise:
    """On a residual branch, by a module that is not a submodule: it has nothing to learn."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, branch: Tensor, *_evaluation: object) -> object:
        return self._module(branch)
