"""What exporters must write though no module has it: it costs what the module costs."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto

from micronet.analysis.counts import count
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.transformation.recognize import recognize
from tests.micronet.onnx_reader.files import agreeing, model, node, of, targets

SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
FOLDED = "pkg.onnxscript.optimizer.folded_from"


def constant(name: str, values: object) -> NodeProto:
    return node("Constant", output=name, value=of("", values))


def exported(nodes: Sequence[NodeProto], weights: Sequence[TensorProto], *trained: str, opset: int = 17) -> ModelProto:
    """A file as torch.onnx.export(dynamo=True) writes it, which says that the initializers `trained` are parameters."""
    file = model(nodes, weights, opset=opset)
    entry = file.graph.metadata_props.add()
    entry.key = SIGNATURE
    entry.value = "\n# inputs\n" + "".join(f"p_{name}: PARAMETER target='{name}'\n" for name in trained)
    return file


def totals(graph: Graph) -> tuple[int, int, int]:
    """Parameters, multiplications and additions; the end of every file takes 3 and 45 for the means of 3 x 4 x 4."""
    layers = count(graph).layers
    parameters = sum(p.elements for layer in layers for p in layer.parameters)
    multiplications = sum(layer.operations.all_multiplications for layer in layers) - 3
    additions = sum(layer.operations.additions + layer.operations.inner_additions for layer in layers) - 45
    return parameters, multiplications, additions


# Normalizing 16 values: mean 1, 15; centring 0, 16; variance 17, 15; 1/sqrt 2, 1; scale 16, 0 = 36, 47. Three channels.
PLAIN = 3 * 36, 3 * 47


def test_an_instance_norm_without_scale_and_shift_costs_none() -> None:
    nodes = [constant("ones", [1, 1, 1]), constant("zeros", [0, 0, 0])]
    graph = agreeing(model([*nodes, node("InstanceNormalization", "image", "ones", "zeros")]))
    assert totals(graph) == (0, *PLAIN)


def test_scale_and_shift_behind_an_instance_norm_are_all_there_is() -> None:
    """A group norm as the older exporter writes it: ones and zeros in the norm, its own behind it, 48 of each."""
    nodes = [constant("ones", [1, 1, 1]), constant("zeros", [0, 0, 0])]
    nodes += [node("InstanceNormalization", "image", "ones", "zeros", output="y"), node("Mul", "y", "w", output="z")]
    weights = [of("w", [[[2]], [[3]], [[4]]]), of("b", [[[1]], [[2]], [[3]]])]
    graph = agreeing(model([*nodes, node("Add", "z", "b")], weights))
    assert totals(graph) == (6, PLAIN[0] + 48, PLAIN[1] + 48)
    idle = [constant("w", [[[1]]]), constant("b", [[[0]]]), *nodes, node("Add", "z", "b")]
    assert totals(agreeing(model(idle))) == (0, *PLAIN)


def test_scale_and_shift_that_are_parameters_count_even_untrained() -> None:
    weights = [of("w", [1, 1, 1]), of("b", [0, 0, 0])]
    graph = agreeing(model([node("InstanceNormalization", "image", "w", "b")], weights))
    assert totals(graph) == (6, PLAIN[0] + 48, PLAIN[1] + 48)


def test_a_layer_norm_without_scale_stores_no_ones() -> None:
    """Over 48 values: 1, 47; 0, 48; 49, 47; 2, 1; 48, 0 = 100, 143."""
    norm = node("LayerNormalization", "image", "val_2", axis=1)
    ones = of("val_2", np.ones((3, 4, 4)))
    assert totals(agreeing(exported([norm], [ones]))) == (0, 100, 143)
    assert totals(agreeing(exported([norm], [ones], "val_2"))) == (48, 100 + 48, 143)


def test_a_mean_whose_last_window_hangs_over_costs_what_a_mean_does() -> None:
    """4 x 4 by windows of 3 x 3, two apart: 2 x 2 of them, of which all but one hang over; 1 and 8 for each output."""
    pool = node("AveragePool", "image", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    graph = import_graph(model([pool], opset=21))
    layers = count(graph).layers
    assert targets(agreeing(model([pool], opset=21))) == ["avg_pool2d"]
    assert sum(layer.operations.all_multiplications for layer in layers) == 3 * 4 + 3
    assert sum(layer.operations.additions + layer.operations.inner_additions for layer in layers) == 12 * 8 + 3 * 3
    assert not any(layer.parameters for layer in layers)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 1, 1), (1, 1, 1, 1), (1,)])
def test_a_slope_per_channel_is_one_whatever_stands_in_front(shape: tuple[int, ...]) -> None:
    slopes = np.arange(1, 1 + np.prod(shape)).reshape(shape) / 8
    graph = agreeing(model([node("PRelu", "image", "slope")], [of("slope", slopes)]))
    assert targets(graph)[-1] == "prelu"
    assert totals(graph) == (len(slopes.flatten()), 2 * 48, 0)


def test_a_number_among_the_initializers_is_a_number() -> None:
    """x to the 4th is 3 multiplications, wherever the 4 stands; an exponent somebody trained is one operation."""
    power = node("Pow", "image", "val_0")
    four = of("val_0", 4.0)
    assert totals(agreeing(exported([power], [four]))) == (0, 3 * 48, 0)
    assert totals(agreeing(model([constant("val_0", 4.0), power]))) == (0, 3 * 48, 0)
    assert totals(agreeing(exported([power], [four], "val_0"))) == (1, 48, 0)
    assert totals(agreeing(model([power], [four]))) == (1, 48, 0)


def test_a_number_computed_from_a_parameter_counts() -> None:
    file = exported([node("Mul", "image", "exp")], [of("exp", 1.5)], "temperature")
    value = file.graph.value_info.add()
    value.name = "exp"
    value.metadata_props.add(key=FOLDED, value="['temperature']")
    assert totals(agreeing(file)) == (1, 48, 0)
    value.metadata_props[0].value = "['val_3']"
    assert totals(agreeing(file)) == (0, 48, 0)


def test_a_constant_that_an_optimizer_moved_is_one_still() -> None:
    name = "/act/Constant_1_output_0"
    assert totals(agreeing(model([node("Mul", "image", name)], [of(name, 1.5)]))) == (0, 48, 0)


def test_hard_swish_is_seen_in_its_parts() -> None:
    """Hard swish is 4 and 1; its parts would be x + 3: 0, 1; clip 2, 0; product 1, 0; division 1, 0."""
    nodes = [node("Add", "image", "val_0", output="a"), node("Clip", "a", "val_1", "val_2", output="b")]
    nodes += [node("Mul", "image", "b", output="c"), node("Div", "c", "val_2")]
    file = exported(nodes, [of("val_0", 3.0), of("val_1", 0.0), of("val_2", 6.0)])
    graph = recognize(agreeing(file))
    assert targets(graph) == ["hardswish"]
    assert totals(graph) == (0, 4 * 48, 48)
