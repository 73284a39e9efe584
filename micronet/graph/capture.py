"""From a torch module to the graph, by torch.export."""

import operator
from collections.abc import Mapping

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import InputKind

from micronet.errors import CaptureFailed
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

_BATCH_NORM_IN_EXPORT = aten._native_batch_norm_legit_no_training.default
_EXAMPLE_BATCH = 2
"""Two images, since torch.export takes a size of one as a constant."""


def capture(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """Graph of `module` in evaluation mode, for float32 images (N, *input_shape) with N free.

    `module` may lie on the meta device: nothing is computed, so counting needs no memory for weights.
    In-place operations become their pure twins. Raises CaptureFailed where torch.export cannot follow the module.
    """
    module.eval()
    device = next((tensor.device for tensor in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    example = torch.zeros(_EXAMPLE_BATCH, *input_shape, device=device)
    try:
        with torch.no_grad():
            program = export(module, (example,), dynamic_shapes=({0: Dim("batch")},), strict=False)
            if _mutates(program.graph):
                program = program.run_decompositions({})
    except Exception as error:  # torch.export raises whatever the module's own code and its own parts raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CaptureFailed(
            f"torch.export could not capture {type(module).__name__} for a batch of {input_shape} images: {reason}. "
            "The forward must be free of data-dependent control flow and work for any batch size."
        ) from error
    return _translate(program, input_shape).live()


def _mutates(graph: fx.Graph) -> bool:
    return any(isinstance(node.target, OpOverload) and node.target._schema.is_mutable for node in graph.nodes)


def _translate(program: ExportedProgram, input_shape: tuple[int, ...]) -> Graph:
    """Rename the exported placeholders to the module's own names and keep only what a Node says."""
    names: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    literals: set[str] = set()
    images = ""
    constants: Mapping[str, object] = {**program.constants, **program.state_dict}
    for spec in program.graph_signature.input_specs:
        placeholder = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            images = names[placeholder] = placeholder
            continue
        key = spec.target
        value = None if key is None else constants.get(key)
        if key is None or not isinstance(value, Tensor):
            raise CaptureFailed(f"torch.export made an input of an unexpected kind: {spec.kind.name} {placeholder}")
        names[placeholder] = key
        weights[key] = value.detach()
        if spec.kind is InputKind.CONSTANT_TENSOR:
            literals.add(key)
    nodes = _Translator(names).nodes(program.graph)
    results = program.graph_signature.user_outputs
    if len(results) != 1 or not isinstance(results[0], str) or results[0] not in {node.name for node in nodes}:
        raise CaptureFailed("the network must return one tensor of logits (N, classes)")
    return Graph(images, input_shape, nodes, weights, results[0], literals=frozenset(literals))


class _Translator:
    """Turns fx nodes into Nodes; `names` maps what was renamed."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self._taken = set(names.values())

    def nodes(self, graph: fx.Graph) -> tuple[Node, ...]:
        nodes = []
        for fx_node in graph.nodes:
            if fx_node.op == "call_function" and not self._is_check(fx_node):
                nodes.extend(self._translate(fx_node))
        return tuple(nodes)

    def _translate(self, fx_node: fx.Node) -> list[Node]:
        layer = _layer(fx_node)
        args = tuple(self._argument(argument) for argument in fx_node.args)
        kwargs = {key: self._argument(argument) for key, argument in fx_node.kwargs.items()}
        target: Target = fx_node.target  # type: ignore[assignment]
        source = fx_node.args[0] if fx_node.args else None
        if target is operator.getitem and isinstance(source, fx.Node) and source.target is _BATCH_NORM_IN_EXPORT:
            self._names[fx_node.name] = self._name_of(source.name)
            return []
        if target is _BATCH_NORM_IN_EXPORT:
            target, (x, weight, bias, mean, variance, momentum, eps) = aten.batch_norm.default, args
            args, kwargs = (x, weight, bias, mean, variance, False, momentum, eps, False), {}
        return [Node(self._name_of(fx_node.name), target, args, kwargs, layer)]

    def _name_of(self, name: str) -> str:
        """The value's name, moved aside where a weight is called the same."""
        if name not in self._names:
            free = name
            while free in self._taken:
                free += "_"
            self._taken.add(free)
            self._names[name] = free
        return self._names[name]

    def _argument(self, argument: object) -> Argument:
        if isinstance(argument, fx.Node):
            return Ref(self._name_of(argument.name))
        if isinstance(argument, list | tuple):
            return tuple(self._argument(item) for item in argument)
        if isinstance(argument, torch.SymInt):
            return int(argument)
        return argument  # type: ignore[return-value]

    def _is_check(self, fx_node: fx.Node) -> bool:
        """Whether the node only asserts something about sizes or dtypes, and gives no value."""
        return "assert" in str(fx_node.target) or fx_node.target is aten._assert_tensor_metadata.default


def _layer(fx_node: fx.Node) -> str:
    """Path of the innermost module that made the node, such as layer1.0.conv1; empty for the network itself."""
    stack = fx_node.meta.get("nn_module_stack") or {}
    path = next(reversed(list(stack.values())), ("", None))[0] if stack else ""
    return "" if path.startswith("_empty") else path.removeprefix("L['self'].")
