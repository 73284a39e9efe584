"""Results of every kind, honest and large, are read; hostile ones are refused at their first fault, or unread."""

import json
import re
import tracemalloc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Le
from pydantic import BaseModel

from micronet.contract import (
    Accuracy,
    EpochReport,
    OptimizedLayer,
    ScoreResult,
    TrainingReport,
    TrainResult,
    TrainSettings,
)
from micronet.jobs import JOBS
from worker.errors import OutputRefused
from worker.limits import MEBI
from worker.runner.results import MAX_RESULT_BYTES, checked

KINDS = pytest.mark.parametrize("kind", JOBS)


def example(kind: Any) -> Any:
    """A value of the kind as JSON has it: whatever may be null is something, and every list has an item."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        value = {name: example(field.annotation) for name, field in kind.model_fields.items()}
        return value | {"kept": 1} if kind is TrainingReport else value  # of its one epoch
    first, *_ = (*get_args(kind), None)
    match get_origin(kind):
        case None:
            return {str: "text", int: 4, float: 0.5, bool: True}[kind]
        case origin if origin is Literal:
            return first
        case origin if origin is tuple:
            return [example(first)]
        case origin if origin is dict:
            return {str(example(first)): example(get_args(kind)[1])}
        case origin if origin in (Annotated, Union, UnionType):
            return example(next(each for each in get_args(kind) if each is not NoneType))
    raise AssertionError(f"results have no {kind} yet")


def honest(kind: str) -> dict[str, Any]:
    return dict(JOBS[kind].result.model_validate(example(JOBS[kind].result)).model_dump(mode="json"))


@KINDS
def test_results_of_every_kind_come_through_as_they_are(kind: str) -> None:
    text = JOBS[kind].result.model_validate(honest(kind)).model_dump_json()
    assert checked(text.encode(), kind) == text


@KINDS
def test_one_fault_anywhere_is_found(kind: str) -> None:
    for changed in _each_with_a_fault(honest(kind)):
        with pytest.raises(OutputRefused, match="faults, or more"):
            checked(json.dumps(changed).encode(), kind)


def _each_with_a_fault(value: Any) -> list[Any]:
    """The value with one thing in it that nothing here is, for each place there is."""
    if isinstance(value, dict):
        changed = [{**value, name: each} for name, inner in value.items() for each in _each_with_a_fault(inner)]
        return [*changed, {**value, "unknown": 1}]
    if isinstance(value, list):
        return [[*value[:index], each] for index, inner in enumerate(value) for each in _each_with_a_fault(inner)]
    return [{"nothing": "here"}]


@KINDS
@pytest.mark.parametrize("item", ["[1]", "{}", "1", '""', "[]", '{"a":1}', "null"])
def test_a_list_of_faults_ends_with_the_first(kind: str, item: str) -> None:
    result = honest(kind)
    for name in [name for name, value in result.items() if isinstance(value, list)]:
        text = json.dumps({**result, name: "HERE"}).replace('"HERE"', f"[{','.join([item] * 1000)}]")
        if item == '""' and isinstance(result[name][0], str):
            continue
        with pytest.raises(OutputRefused, match="faults, or more") as refused:
            checked(text.encode(), kind)
        assert _faults(refused.value) < 20


@pytest.mark.parametrize("name", ["math", "storage"])
def test_a_thousand_faults_of_a_thousand_faults_each_are_one(name: str) -> None:
    result = honest("count")
    wrong = {f"kind {kind}": dict.fromkeys([f"width {width}" for width in range(900)], "many") for kind in range(900)}
    result["layers"][0]["charged"][name] = wrong
    with pytest.raises(OutputRefused, match="faults, or more") as refused:
        checked(json.dumps(result).encode(), "count")
    assert _faults(refused.value) < 5
    result["layers"][0]["charged"][name] = {next(iter(honest("count")["layers"][0]["charged"][name])): wrong}
    with pytest.raises(OutputRefused, match="faults, or more") as refused:
        checked(json.dumps(result).encode(), "count")
    assert _faults(refused.value) < 5


def _faults(error: OutputRefused) -> int:
    (number,) = re.findall(r"(\d+) faults", str(error))
    return int(number)


@pytest.mark.parametrize("text", [b'{"warnings":[' + b"[1]," * (2 * MEBI), b"[" * MEBI, b"1," * MEBI])
def test_more_values_than_any_result_has_are_not_read_at_all(text: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(OutputRefused, match="more than 1,000,000 values"):
        checked(text, "score")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEBI


@pytest.mark.parametrize("text", [b'{"\\ud800":1}', b'{"track":"\\ud800"}', b"\xff", b'{"track":"","track":""}'])
def test_what_is_no_text_is_no_result(text: bytes) -> None:
    with pytest.raises(OutputRefused, match="no score result"):
        checked(text, "score")


@pytest.mark.parametrize("kept", [-1, 2, 99])
def test_an_epoch_that_is_none_was_not_kept(kept: int) -> None:
    result = honest("train")
    result["training"]["kept"] = kept
    with pytest.raises(OutputRefused, match="no train result: 1 faults"):
        checked(json.dumps(result).encode(), "train")


def test_a_pipeline_has_a_stage() -> None:
    with pytest.raises(OutputRefused, match="no pipeline result: 1 faults"):
        checked(json.dumps(honest("pipeline") | {"stages": []}).encode(), "pipeline")


def test_there_is_room_for_the_longest_training() -> None:
    """Every epoch that settings may ask for, with numbers as long as they get."""
    (epochs,) = [bound.le for bound in TrainSettings.model_fields["epochs"].metadata if isinstance(bound, Le)]
    assert isinstance(epochs, int)
    accuracy = Accuracy(correct=10_000, total=10_000, top1=0.12345678901234567)
    epoch = EpochReport(
        epoch=epochs, steps=10**9, loss=1.2345678901234567e-10, learning_rate=1.2345678901234567e-10, holdout=accuracy
    )
    report = TrainingReport(before=accuracy, epochs=(epoch,) * epochs, kept=epochs, after=accuracy, images=50_000)
    result = TrainResult.model_validate(honest("train")).model_copy(update={"training": report})
    _comes_through("train", result)


def test_there_is_room_for_a_network_of_many_wide_layers() -> None:
    """500 layers of 500 filters: a bound of each filter twice, and its binary point; all widths there are."""
    result = honest("optimize")
    layers, filters = 500, [20] * 500
    score, layer = result["score"], result["layers"][0]
    (scored,), (tensor,) = score["layers"], score["changes"]["tensors"]
    widths = dict.fromkeys(map(str, range(1, 33)), 10**9)
    math = {"multiplications": widths, "additions": widths, "exponents": {"8": 500}}
    storage = {"parameters": widths, "mask": {"1": 10**9}, "exponents": {"8": 500}, "scales": {"1": 16_000}}
    charged = {"math": math, "storage": storage}
    score["layers"] = [{**scored, "accumulator_bits": filters, "charged": charged}] * layers
    score["changes"]["tensors"] = [{**tensor, "points": filters}] * layers + [tensor] * 5 * layers
    result["layers"] = [{**layer, "accumulator_bits": filters}] * layers
    assert ScoreResult.model_validate(score)
    assert OptimizedLayer.model_validate(result["layers"][0])
    _comes_through("optimize", JOBS["optimize"].result.model_validate(result))


def _comes_through(kind: str, result: BaseModel) -> None:
    text = result.model_dump_json()
    assert len(text) < MAX_RESULT_BYTES
    assert checked(text.encode(), kind) == text
