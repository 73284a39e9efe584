"""What a result says was charged is the whole of its math and its storage, in integers."""

import itertools
import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from micronet.analysis.counts import Counts, LayerCounts, count
from micronet.contract import BitWidths, Charges, Layer, ScoreResult, ScoreSettings
from micronet.graph.grid import fixed_point
from micronet.graph.ir import Graph
from micronet.jobs.result import Measurement, score_result
from micronet.onnx_reader import import_graph, load_model
from micronet.quantization.rounding import quantization
from micronet.tracks import BUILT_IN
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import layer_outputs
from micronet.transformation.quantize import insert_quantizers, quantize_weights
from tests.micronet.networks import networks, quantized

PUBLISHED = ("kaist_v2_pr15.onnx", "kaist_v2_pr45.onnx", "osi_60.onnx", "osi_60_folded.onnx")
WAYS = tuple(
    ScoreSettings.model_validate({"policy": policy, "bits": bits, "encoding": encoding, "accumulators": accumulators})
    for policy, bits, encoding, accumulators in itertools.product(
        ("report", "challenge"),
        (None, {"param_bits": 9, "mul_bits": 12, "add_bits": 20, "exponent_bits": 8}),
        ("cheapest", "masked"),
        ("declared", "proven"),
    )
)


@cache
def published(path: Path, bits: tuple[int, int] | None) -> Counts:
    """The counts of a file, with weights and values on grids of so many bits; where these lie, no image said."""
    if not path.is_file():
        pytest.skip(f"no {path}")
    graph = prepare(import_graph(load_model(path)), fuse=True)
    if bits is not None:
        asked = ScoreSettings(bits=BitWidths(param_bits=bits[0], mul_bits=bits[1]))
        assert asked.bits is not None
        graph = quantize_weights(graph, quantization(asked.bits, asked.quantizer))
        graph = insert_quantizers(graph, dict.fromkeys(layer_outputs(graph), fixed_point(bits[1], (0,))))
    return count(graph)


def scored(counts: Counts, asked: ScoreSettings) -> ScoreResult:
    """The result, as it comes out of JSON."""
    result = score_result(asked, BUILT_IN[asked.track], Measurement(counts, None, None, "none", ()))
    again = ScoreResult.model_validate_json(result.model_dump_json())
    assert again == result
    return again


def math_by_hand(counts: Counts, layer: LayerCounts, asked: ScoreSettings) -> int:
    """Bit-operations in one sum, and what proven accumulators take off it, filter by filter."""
    of, bits = layer.operations, asked.bits
    if asked.policy == "report":
        assert bits is not None
        sums = bits.add_bits
        total = of.all_multiplications * bits.mul_bits + of.all_additions * sums + layer.exponents * bits.exponent_bits
    else:
        sums, widest = 32, max(layer.activation_bits, layer.weight_bits or 0)
        outer, inner = (widest, 32) if counts.quantized else (16, 16)
        total = of.multiplications * outer + of.inner_multiplications * inner
        total += of.additions * widest + of.inner_additions * sums
    if asked.accumulators == "proven" and layer.accumulator_bits is not None:
        assert layer.additions_by_filter is not None
        total -= sum(
            additions * max(sums - proven, 0)
            for additions, proven in zip(layer.additions_by_filter, layer.accumulator_bits, strict=True)
        )
    return total


def bits_of(charges: Charges) -> tuple[int, int]:
    """Bit-operations, and bits stored."""
    math, storage = (
        sum(many * bits for widths in kinds for bits, many in widths.items())
        for kinds in (charges.math.values(), charges.storage.values())
    )
    return math, storage


def check(counts: Counts, asked: ScoreSettings) -> None:
    result = scored(counts, asked)
    charged = [charges_of(layer) for layer in result.layers]
    if asked.policy == "report":
        check_listed(result, charged)
    sums = [bits_of(charges) for charges in charged]
    assert sum(math for math, _ in sums) == 32 * result.operations.math
    assert sum(storage for _, storage in sums) == result.storage.bits
    for layer, charges, (math, storage) in zip(result.layers, charged, sums, strict=True):
        assert (math, storage) == (32 * layer.math, 32 * layer.storage)
        assert sum(charges.math.get("multiplications", {}).values()) == layer.multiplications
        assert sum(charges.math.get("additions", {}).values()) == layer.additions
        assert charges.storage.get("mask", {}).keys() <= {1}
        kinds = (*charges.math.values(), *charges.storage.values())
        assert all(widths and list(widths) == sorted(widths) for widths in kinds)
        assert all(bits > 0 and many > 0 for widths in kinds for bits, many in widths.items())
    if asked.policy == "challenge" or asked.bits is not None:
        by_hand = [math_by_hand(counts, layer, asked) for layer in counts.layers]
        assert [math for math, _ in sums] == by_hand


def check_listed(result: ScoreResult, charged: list[Charges]) -> None:
    """What is listed is what was charged, whoever declared it."""
    assert result.widths is not None
    for charges in charged:
        assert charges.storage.get("parameters", {}).keys() <= {result.widths.param_bits}
        assert charges.math.get("multiplications", {}).keys() <= {result.widths.mul_bits}


def charges_of(layer: Layer) -> Charges:
    assert layer.charged is not None
    return layer.charged


@pytest.mark.parametrize("asked", WAYS, ids=lambda asked: f"{asked.policy} {asked.encoding} {asked.accumulators}")
@pytest.mark.parametrize("bits", [None, (9, 12), (4, 6)])
@pytest.mark.parametrize("name", PUBLISHED)
def test_of_published_networks(shared_dir: Path, name: str, bits: tuple[int, int] | None, asked: ScoreSettings) -> None:
    check(published(shared_dir / "checkpoints" / name, bits), asked)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(2, 9), st.integers(2, 12), st.sampled_from(WAYS))
def test_of_any_network(module: nn.Module, weight_bits: int, activation_bits: int, asked: ScoreSettings) -> None:
    graph: Graph = quantized(module, weight_bits, activation_bits)
    check(count(graph), asked)


def test_a_sigmoid_is_charged_at_two_widths(shared_dir: Path) -> None:
    """One product reads its 12 bits, one what it makes on its way; and so does the addition, at 32 bits.

    All of them: 21,775,620 of 12 bits and 3,139,234 of 32, not what sums with the widths of operands would have it be.
    """
    result = scored(
        published(shared_dir / "checkpoints" / "kaist_v2_pr45.onnx", (9, 12)), ScoreSettings(policy="challenge")
    )
    sigmoids = [charges_of(layer).math for layer in result.layers if layer.op == "sigmoid"]
    assert len(sigmoids) == 13
    for math in sigmoids:
        (elements,) = math["additions"].values()
        assert math == {"multiplications": {12: elements, 32: elements}, "additions": {32: elements}}
    multiplications = [charges_of(layer).math.get("multiplications", {}) for layer in result.layers]
    assert [sum(each.get(bits, 0) for each in multiplications) for bits in (12, 32)] == [21_775_620, 3_139_234]


def test_sums_of_many_proven_widths_are_told_apart(shared_dir: Path) -> None:
    """As the layer's own proof has it, filter by filter."""
    counts = published(shared_dir / "checkpoints" / "kaist_v2_pr45.onnx", (4, 6))
    result = scored(counts, ScoreSettings(policy="challenge", accumulators="proven"))
    several = 0
    for layer, of in zip(result.layers, counts.layers, strict=True):
        if layer.accumulator_bits is not None and of.additions_by_filter is not None:
            additions = charges_of(layer).math.get("additions", {})
            for bits in {*additions, *layer.accumulator_bits}:
                of_width = zip(of.additions_by_filter, layer.accumulator_bits, strict=True)
                assert additions.get(bits, 0) == sum(many for many, proven in of_width if proven == bits)
            several += len(additions) > 1
    assert several > 10


def test_a_result_without_the_key_is_a_result_and_a_wrong_key_is_none() -> None:
    layer = {
        "name": "fc", "op": "linear", "shape": [1], "multiplications": 3, "additions": 2, "parameters": 3, "nonzero": 3,
        "weight_bits": 9, "activation_bits": 12, "math": 3.125, "storage": 0.84375,
    }  # fmt: skip
    assert Layer.model_validate_json(json.dumps(layer)).charged is None
    charged = {"math": {"multiplications": {"12": 3}, "additions": {"32": 2}}, "storage": {"parameters": {"9": 3}}}
    said = Layer.model_validate_json(json.dumps({**layer, "charged": charged}))
    assert charges_of(said).math == {"multiplications": {12: 3}, "additions": {32: 2}}
    assert bits_of(charges_of(said)) == (100, 27)
    for wrong in ({"math": {"luck": {}}, "storage": {}}, {"math": {"additions": {"wide": 1}}, "storage": {}}):
        with pytest.raises(ValueError, match="charged"):
            Layer.model_validate_json(json.dumps({**layer, "charged": wrong}))
