"""ONNX's own node tests: every case whose operations all have an importer is imported, run and compared."""

import fnmatch
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_node_model_tests

from micronet.errors import NotFinite, OnnxUnsupportedFeature
from micronet.graph.ir import substitute
from micronet.onnx_reader import EMITS, IMPORTERS
from micronet.onnx_reader.checking import MIN_OPSET, check_model
from micronet.onnx_reader.importing import import_nodes
from micronet.onnx_reader.values import Made

REFUSED: Mapping[str, str] = {
    "*FLOAT8*": "8-bit floats have no place in the score",
    "*FLOAT4E2M1*": "4-bit floats have no place in the score",
    "*INT2*": "2-bit integers are not in the range table",
    "*_to_*INT4*": "activations are float32 and are not cast to integers",
    "test_*quantizelinear_e4m3fn*": "8-bit floats",
    "test_*quantizelinear_e5m2": "8-bit floats",
    "test_*quantizelinear_float4e2m1": "4-bit floats",
    "test_*quantizelinear_*int2": "2-bit integers",
    "test_*quantizelinear_blocked*": "scales per block",
    "test_averagepool_2d_dilations": "torch has no average pool with gaps",
    "test_averagepool_3d_*": "images have two dimensions",
    "test_maxpool_3d_*": "images have two dimensions",
    "test_batchnorm_*_training_mode": "scoring is inference",
    "test_training_dropout*": "scoring is inference",
    "test_equal_string*": "strings",
    "test_identity_opt": "optionals",
    "test_identity_sequence": "sequences",
    "test_reduce_m??_empty_set*": "the largest of nothing",
    "test_resize_*linear*": "interpolation has no price in the counting table",
    "test_resize_*cubic*": "interpolation has no price in the counting table",
    "test_resize_tf_crop_and_resize*": "interpolation has no price in the counting table",
    "test_resize_*_not_larger": "a resize that keeps the aspect ratio",
    "test_resize_*_not_smaller": "a resize that keeps the aspect ratio",
    "test_flexattention_causal_mask_expanded*": "infinity as a constant",
    "test_attention_*causal*": "language models read one way",
    "test_attention_*softcap*": "language models cap their scores",
    "test_attention_*gqa*": "language models share keys",
    "test_attention_*past*": "language models keep keys",
    "test_attention_*padded_kv*": "language models keep keys",
    "test_attention_local_window_ext*": "language models keep keys",
    "test_attention_local_window": "language models look back so far",
    "test_attention_*d_local_window": "language models look back so far",
    "test_attention_bidirectional_window": "language models look around so far",
    "test_attention_local_window_rank1_boolean_mask": "language models look back so far",
    "test_attention_*mask_bool*": "a mask of booleans",
    "test_attention_*boolmask*": "a mask of booleans",
    "test_attention_*fullymasked*": "a mask of booleans",
    "test_attention_*with_qk_matmul*": "scores are asked for by nobody who classifies",
    "test_attention_24_qk_matmul_output*": "scores are asked for by nobody who classifies",
    "test_gathernd_example_float32": "activations picked along several axes at once",
    "test_gathernd_example_int32_batch_dim1": "indices of their own for each image",
    "test_clip_expanded": "activations are not compared",
    "test_clip_[eios]*_expanded": "activations are not compared",
    "test_clip_default_m??_expanded": "activations are not compared",
    "test_clip_min_greater*_expanded": "activations are not compared",
    "test_elu_*expanded*": "activations are not compared",
    "test_leakyrelu_*expanded": "activations are not compared",
    "test_prelu_*_expanded": "activations are not compared",
    "test_selu_*expanded*": "activations are not compared",
    "test_shrink*": "activations are not compared",
    "test_thresholdedrelu*": "activations are not compared",
    "test_mod_float_edge_cases_fmod_0_*": "infinity as a constant",
}
"""Case or pattern -> why it is not read. Each must end in OnnxUnsupportedFeature, or NotFinite."""

SPELLED_OUT = "test_attention_*_expanded"
"""Attention as the operations that ONNX defines it by, which are read in more cases than it is whole."""

REFUSED_SPELLED_OUT: Mapping[str, str] = {
    f"test_attention_*{name}": "infinity in a mask"
    for name in (
        "causal*",
        "boolmask_fully*",
        "qk_matmul_output_mode3*",
        "padded_kv*",
        "neginf*",
        "local_window_expanded",
        "local_window_ext*",
        "local_window_gqa*",
        "local_window_rank1*",
        "local_window_with_past*",
        "bidirectional_window*",
    )
}
"""The same for these cases."""

FIRST_OUTPUT: Mapping[str, str] = {
    "test_layer_normalization_*axis?": "mean and deviation are asked for by training",
    "test_layer_normalization_*axis_negative_?": "mean and deviation are asked for by training",
    "test_layer_normalization_*_epsilon": "mean and deviation are asked for by training",
    "test_layer_normalization_default_axis": "mean and deviation are asked for by training",
    "test_dropout_default_mask*": "the mask is asked for by training",
    "test_maxpool_with_argmax_*": "indices are integers made at run time",
}
"""Case or pattern -> why only its first output is compared; asking for the others must be refused."""

CONSTANTS_ONLY: Mapping[str, str] = {
    "test_quantizelinear*": "on activations it is read together with its DequantizeLinear",
    "test_greater*": "comparisons are for shapes",
    "test_less*": "comparisons are for shapes",
    "test_range_*": "ranges are for indices",
    "test_sign": "signs are of constants",
    "test_mod_*": "remainders are for shapes",
}
"""Case or pattern -> why no input is an image."""

ROUNDING: Mapping[int, float] = {TensorProto.BFLOAT16: 1e-2, TensorProto.FLOAT16: 2e-3}
"""Type of a result -> by how much more than 1e-3 what onnx computes in it may be off."""

OWN_DOMAINS = ("", "ai.onnx")


@cache
def cases() -> Mapping[str, TestCase]:
    """Every node case of the installed onnx whose operations all have a row, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = load_node_model_tests()
    return {
        case.name: case
        for case in every
        if all(node.op_type in IMPORTERS and node.domain in OWN_DOMAINS for node in case.model.graph.node)
    }


def row(table: Mapping[str, str], name: str) -> str | None:
    """The pattern of the table that covers a case."""
    return next((pattern for pattern in table if fnmatch.fnmatchcase(name, pattern)), None)


def refused(name: str) -> str | None:
    """The pattern that says why a case is not read, None where it is."""
    return row(REFUSED_SPELLED_OUT if fnmatch.fnmatchcase(name, SPELLED_OUT) else REFUSED, name)


@dataclass
class Ran:
    outputs: list[torch.Tensor]
    targets: set[object]


def to_numpy(value: object) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def with_constants(case: TestCase, images: set[int]) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """The case's model with all inputs but the `images` as initializers, and the values of those."""
    model = ModelProto()
    model.CopyFrom(case.model)
    for entry in model.opset_import:  # Not has stayed as it was since opset 1, before those that are read
        entry.version = max(entry.version, MIN_OPSET)
    arrays = dict(zip((i.name for i in model.graph.input), case.data_sets[0][0], strict=True))
    left = {}
    for index, value in enumerate(case.model.graph.input):
        array = arrays[value.name]
        if index in images:
            left[value.name] = to_numpy(array)
        elif isinstance(array, TensorProto):
            tensor = TensorProto()
            tensor.CopyFrom(array)
            tensor.name = value.name
            model.graph.initializer.append(tensor)
        else:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    return model, left


def run(model: ModelProto, images: dict[str, np.ndarray]) -> Ran:
    """Outputs of the imported model on `images`, node by node."""
    check_model(model)
    imported = import_nodes(model, {name: image.shape for name, image in images.items()}, file_batch=None)
    values: dict[str, object] = dict(imported.build.weights.tensors)
    for name, image in images.items():
        values[imported.inputs[name].ref.name] = torch.from_numpy(image.astype(np.float32))
    for node in imported.build.nodes:
        kwargs = {key: substitute(argument, values) for key, argument in node.kwargs.items()}
        values[node.name] = node.target(*(substitute(argument, values) for argument in node.args), **kwargs)
    outputs = []
    for value in imported.outputs:
        if isinstance(value, Made):
            result = values[value.ref.name]
            assert tuple(result.shape) == value.shape
            outputs.append(result)
        else:
            outputs.append(value.tensor)
    return Ran(outputs, {node.target for node in imported.build.nodes})


def check(case: TestCase, ran: Ran) -> None:
    rough = max(ROUNDING.get(value.type.tensor_type.elem_type, 1e-3) for value in case.model.graph.output)
    expected = case.data_sets[0][1][: len(ran.outputs)]
    for found, right in zip(ran.outputs, expected, strict=True):
        array = to_numpy(right)
        assert found.shape == array.shape
        np.testing.assert_allclose(found.numpy().astype(np.float64), array.astype(np.float64), rtol=rough, atol=2e-6)


def floating(case: TestCase) -> set[int]:
    """Inputs that can be activations: tensors of floats."""
    kinds = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    return {
        index
        for index, value in enumerate(case.model.graph.input)
        if value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in kinds
    }


def ways(case: TestCase) -> Iterator[set[int]]:
    """Which inputs are images: the first alone, all floats, each float alone, none."""
    floats = floating(case)
    seen: list[set[int]] = []
    for way in ({0} & floats, floats, *({index} for index in sorted(floats)), set()):
        if way not in seen:
            seen.append(way)
            yield way


def first_only(model: ModelProto) -> ModelProto:
    """The model without its outputs after the first; its node still has them."""
    trimmed = ModelProto()
    trimmed.CopyFrom(model)
    del trimmed.graph.output[1:]
    return trimmed


@cache
def read() -> list[str]:
    return sorted(name for name in cases() if not refused(name))


@contextmanager
def named(name: str) -> Iterator[None]:
    """What fails within says which case it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {name}")
        raise


def in_part(names: list[str], part: int) -> list[str]:
    """Every PARTS-th name, from `part` on."""
    assert names
    return names[part::PARTS]


PARTS = 16
"""Cases are made by onnx all at once, in seconds: not by every process that only asks which tests there are."""


@pytest.mark.parametrize("part", range(PARTS))
def test_cases_agree(part: int) -> None:
    """The first input as the image and the rest constant must agree. Any other choice of images and constants must
    agree or be refused with a named error: never a wrong number."""
    for name in in_part(read(), part):
        with named(name):
            agrees(name)


def agrees(name: str) -> None:
    case = cases()[name]
    first = set() if row(CONSTANTS_ONLY, name) else {0} & floating(case)
    shorten = first_only if row(FIRST_OUTPUT, name) else (lambda model: model)
    for way in (first, *ways(case)):
        model, images = with_constants(case, way)
        try:
            ran = run(shorten(model), images)
        except (OnnxUnsupportedFeature, NotFinite):
            if way == first:
                raise
            continue
        assert ran.targets <= EMITS
        check(case, ran)


def test_what_is_not_read_is_refused() -> None:
    names = sorted(set(cases()) - set(read()))
    assert names
    for name in names:
        case = cases()[name]
        with named(name), pytest.raises((OnnxUnsupportedFeature, NotFinite)):
            run(*with_constants(case, {0} & floating(case)))


def test_more_outputs_than_the_first_are_refused() -> None:
    names = [name for name in read() if row(FIRST_OUTPUT, name) and len(cases()[name].model.graph.output) > 1]
    assert names
    for name in names:
        case = cases()[name]
        with named(name), pytest.raises(OnnxUnsupportedFeature, match="additional output"):
            run(*with_constants(case, {0}))


def test_no_row_is_idle() -> None:
    """Every pattern covers a case, and every importer one of ONNX's."""
    assert set(REFUSED) | set(REFUSED_SPELLED_OUT) == {pattern for name in cases() if (pattern := refused(name))}
    for table in (FIRST_OUTPUT, CONSTANTS_ONLY):
        covered = {row(table, name) for name in cases()}
        assert set(table) <= covered, set(table) - covered
    tested = {node.op_type for name in read() for node in cases()[name].model.graph.node}
    assert set(IMPORTERS) == tested
    assert len(read()) > 600
