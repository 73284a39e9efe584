"""What is written of the tables is what they say; the worked example is right by hand."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from micronet.analysis.rules import RULES, operation_name
from micronet.graph.capture import capture
from micronet.jobs import Context, count_network
from micronet.network_file import to_bytes
from micronet.onnx_reader import IMPORTERS
from micronet.reference import Example, reference
from micronet.reference.costs import cost_groups, docstrings_of_constants
from micronet.reference.example import INPUT_SHAPE, Network
from micronet.reference.write import derive
from micronet.transformation.prepare import prepare

AGAIN = "write it again: python -m micronet.reference.write"


def test_the_file_is_what_the_tables_say() -> None:
    assert reference().model_dump() == derive().model_dump(), AGAIN


def test_reading_it_needs_no_torch() -> None:
    program = "import sys; from micronet.reference import reference; reference(); print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False"]


def test_every_operation_with_a_rule_is_there_with_words() -> None:
    rows = [cost for group in cost_groups() for cost in group.costs]
    assert {name for cost in rows for name in cost.operations} == {operation_name(target) for target in RULES}
    assert all(cost.words for cost in rows)
    assert set(reference().onnx.operations) == set(IMPORTERS)


def test_headings_are_those_of_the_source() -> None:
    groups = {group.title: group for group in cost_groups()}
    assert groups["comparisons"].costs[0].operations[0] == "relu"
    assert groups["arithmetic on sizes"].costs[0].operations == ("sym_size", "mul")


def test_amounts_are_given_where_sizes_do_not_matter() -> None:
    rows = {cost.operations[0]: cost.amounts for group in reference().costs for cost in group.costs}
    sigmoid = rows["sigmoid"]
    assert sigmoid is not None
    assert (sigmoid.multiplications + sigmoid.inner_multiplications, sigmoid.inner_additions) == (2, 1)
    assert rows["softmax"] is rows["conv1d"] is rows["max_pool1d"] is None


def test_only_what_stands_right_below_a_constant_is_its_docstring() -> None:
    from tests.micronet.reference import constants

    assert docstrings_of_constants(constants) == {"FIRST": "Of two lines.", "THIRD": "Third."}


REPORT, FREEBIE, EIGHT = reference().examples


@pytest.mark.parametrize(
    ("example", "math_bits", "storage_bits"),
    [
        # (204,800 + 2,048 + 32 + 320) * 12 + (204,800 + 2,016 + 320) * 32 + 2 * 8; 3,562 * 9 + 4,970
        (REPORT, 207_200 * 12 + 207_136 * 32 + 16, 3_562 * 9 + 4_970),
        # 16 bits all over, and a mask for the one tensor with zeros
        (FREEBIE, 207_200 * 16 + 207_136 * 32, (3_200 * 16 + 4_608) + (32 + 320 + 10) * 16),
        # the mean's product reads a sum of 32 bits; 4 tensors and 4 values have an exponent each
        (EIGHT, 207_168 * 8 + 32 * 32 + 207_136 * 32, (3_200 * 8 + 4_608) + (32 + 320 + 10) * 8 + 8 * 8),
    ],
)
def test_the_example_by_hand(example: Example, math_bits: int, storage_bits: int) -> None:
    assert (example.math_bits, example.storage_bits) == (math_bits, storage_bits)
    assert example.score.math == pytest.approx(math_bits / 32 / 614_016)
    assert example.score.storage == pytest.approx(storage_bits / 32 / 5_130)
    assert sum(layer.math_bits for layer in example.layers) == math_bits
    assert sum(tensor.stored_bits for layer in example.layers for tensor in layer.tensors) == storage_bits


@pytest.mark.parametrize("example", reference().examples, ids=("report", "freebie", "eight bits"))
def test_a_count_job_says_the_same_of_the_example(example: Example, tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(to_bytes(prepare(capture(Network(), INPUT_SHAPE), fuse=True)))
    result = count_network(example.settings, file, Context())
    assert (result.operations.math, result.storage.bits) == (example.math_bits / 32, example.storage_bits)
    assert result.score == example.score
    layers = [(layer.op, layer.math, layer.storage) for layer in result.layers]
    assert layers == [(layer.op, layer.math_bits / 32, layer.storage_bits / 32) for layer in example.layers]


def test_the_example_is_the_network_it_is_said_to_be() -> None:
    (conv,) = (layer for layer in FREEBIE.layers if layer.op == "conv2d")
    weight, bias = conv.tensors
    assert (weight.elements, bias.elements) == (32 * 16 * 3 * 3, 32)
    assert 1 - weight.nonzero / weight.elements == pytest.approx(0.3, abs=0.01)
    assert conv.amounts.multiplications == weight.nonzero * math.prod(conv.shape[1:])
