"""What jobs that make a network answered, as pages show it."""

import html
import re

import pytest
from fastapi.testclient import TestClient

from app.pages.drawings.learning import draw_learning
from app.pages.reports import report_view
from app.services import Services
from micronet.contract import (
    Accuracy,
    ArtifactFile,
    AugmentationOperation,
    AugmentationPolicy,
    AugmentResult,
    BitWidths,
    EpochReport,
    FuseResult,
    MergedBatchNorm,
    MergedLayer,
    NetworkTotals,
    PrunedLayer,
    PruneResult,
    PruneRound,
    PruningReport,
    QuantizedTensor,
    QuantizeResult,
    RemovedChannels,
    RemovedOperation,
    Scorer,
    SparsifiedLayer,
    SparsifyingReport,
    SparsifyResult,
    SparsifyRound,
    TrainingReport,
    TrainResult,
    Value,
)
from tests.app.http.sending import accepted
from tests.app.pages.pipelines import pipeline_text, stage
from tests.app.pages.records import ended
from worker.records.values import Ending, Status

SCRIPT = "<script>alert(1)</script>"
_SCORER = Scorer(version="1", torch="2", device="cpu", dataset=None, seed=0)
_FILE = ArtifactFile(name="made.onnx", sha256="a" * 64, size=4)
_COMMON = {"artifact": _FILE, "scorer": _SCORER, "warnings": (SCRIPT,)}


def right(correct: int) -> Accuracy:
    """Of a hundred images."""
    return Accuracy.of(correct, 100)


def learned(*correct: int, before: int = 50, kept: int | None = None) -> TrainingReport:
    """A training with these answers after its epochs; its losses are 2, 1, 2/3, 1/2 and so on."""
    epochs = tuple(
        EpochReport(epoch=epoch, steps=10, loss=2 / epoch, learning_rate=0.1, holdout=right(answers))
        for epoch, answers in enumerate(correct, 1)
    )
    kept = len(correct) if kept is None else kept
    return TrainingReport(
        before=right(before), epochs=epochs, kept=kept, after=right((before, *correct)[kept]), images=9
    )


def totals(parameters: int) -> NetworkTotals:
    """Of a network of so many parameters."""
    return NetworkTotals(parameters=parameters, nonzero=parameters, multiplications=7, additions=6)


def pruned(
    removed: tuple[int, ...], after: int, *, kept: int | None = None, grown: int = 0, asked: int | None = None
) -> PruningReport:
    """Rounds that removed so many directions each of a network of 1,000 parameters."""
    rounds = tuple(
        PruneRound(
            round=number,
            removed=gone,
            asked=asked,
            grown_back=grown if number > 1 else 0,
            totals=totals(after),
            before_tuning=right(40),
            training=learned(60, before=40),
        )
        for number, gone in enumerate(removed, 1)
    )
    return PruningReport(
        before=totals(1000),
        after=totals(after),
        before_accuracy=right(70),
        after_accuracy=right(60),
        rounds=rounds,
        kept_rounds=len(removed) if kept is None else kept,
        layers=(
            PrunedLayer(
                name="a.b",
                inputs=8,
                kept_inputs=5,
                outputs=9,
                kept_outputs=9,
                form=("rotation_in", "core"),
            ),
        ),
        left_alone=(SCRIPT,),
    )


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (pruned((40,), 1000), ["40 directions went, and the network is no smaller"]),
        (pruned((1,), 1000), ["1 direction went, and the network is no smaller"]),
        (pruned((40,), 1000, asked=50), []),  # its job says so by itself
        (pruned((40, 20), 1000, grown=60), []),
        (pruned((40,), 900), []),
        (pruned((40,), 1000, kept=0), []),
        (pruned((), 1000), []),
    ],
)
def test_of_an_earlier_version_s_pruning_that_saved_nothing_it_is_said(report: PruningReport, words: list[str]) -> None:
    said = report_view(report).said
    assert len(said) == len(words)
    assert all(sentence.startswith(word) for sentence, word in zip(said, words, strict=True))


def numbers(path: str) -> list[float]:
    """Those in a path, in order."""
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_the_drawing_of_a_training_is_in_its_place_and_in_words() -> None:
    drawing = draw_learning([learned(60, 80, 70, before=50, kept=2)])
    assert drawing is not None
    x, y = numbers(drawing.accuracy.line)[::2], numbers(drawing.accuracy.line)[1::2]
    assert x == pytest.approx([0, 33.33, 66.67, 100]), "before the first epoch, and after each of three"
    assert y[2] == min(y), "the best answers are highest up"
    assert y[0] == max(y)
    assert y[0] - y[1] == pytest.approx(y[1] - y[3], abs=0.02)
    assert drawing.kept == ((66.67, y[2]),)
    assert numbers(drawing.loss.line)[::2] == pytest.approx([33.33, 66.67, 100])
    assert "Over 3 epochs the loss went from 2 to 0.6667" in drawing.text
    assert [text for _, text in drawing.epochs] == ["0", "1", "2", "3"]


def test_rounds_are_drawn_one_after_the_other() -> None:
    drawing = draw_learning([learned(60, 70), learned(65, 75, before=30)])
    assert drawing is not None
    assert drawing.rounds == (50,)
    assert numbers(drawing.accuracy.line)[::2] == [0, 25, 50, 50, 75, 100]
    assert "Over 4 epochs in 2 rounds" in drawing.text


def test_rounds_that_were_undone_are_drawn_and_not_as_kept() -> None:
    good, bad = learned(60, 80, before=70), learned(20, 30, before=10)
    drawing = draw_learning([good, bad], undone=1)
    assert drawing is not None
    assert [x for x, _ in drawing.kept] == [50]
    assert numbers(drawing.accuracy.line)[::2] == [0, 25, 50, 50, 75, 100]
    assert (
        "from 70.00\xa0% to 80.00\xa0%; the best of any epoch is 80.00\xa0%. The last round was undone." in drawing.text
    )
    nothing = draw_learning([good, bad], undone=2)
    assert nothing is not None
    assert nothing.kept == ()
    assert nothing.text.endswith("All of it was undone.")


def test_of_reports_of_rounds_the_last_are_undone() -> None:
    drawing = report_view(pruned((5, 5, 5), 900, kept=1)).drawing
    assert drawing is not None
    assert len(drawing.kept) == 1
    assert drawing.text.endswith("The last 2 rounds were undone.")
    drawing = report_view(_SPARSE.model_copy(update={"kept_rounds": 2})).drawing
    assert drawing is not None
    assert "undone" not in drawing.text, "the second round learned nothing, and was kept"


@pytest.mark.parametrize("kept", [-1, 2, 99])
def test_an_epoch_that_is_none_is_not_marked(kept: int) -> None:
    drawing = draw_learning([learned(60).model_copy(update={"kept": kept})])
    assert drawing is not None
    assert drawing.kept == ()


def test_the_loss_of_one_epoch_is_a_mark() -> None:
    one, two = draw_learning([learned(60)]), draw_learning([learned(60, 70)])
    assert one is not None
    assert two is not None
    assert one.loss.lone == (100, 50)
    assert (one.accuracy.lone, two.loss.lone) == (None, None)


def test_very_long_trainings_are_drawn_too_and_none_is_not() -> None:
    count = 5000
    drawing = draw_learning([learned(*([50] * (count - 1)), 90)])
    assert drawing is not None
    assert len(drawing.accuracy.line) < 10_000
    assert numbers(drawing.accuracy.line)[-2] == 100
    assert draw_learning([learned()]) is None
    assert draw_learning([]) is None


_MERGED = (MergedBatchNorm(norm="bn1", into="conv1"),)
_TENSOR = QuantizedTensor(
    name="w", kind="weight", bits=6, points=(3, 7), values=200, clipped=5, relative_squared_error=1.25e-4
)
_SPARSE = SparsifyingReport(
    before=totals(1000),
    after=totals(1000),
    before_accuracy=right(70),
    after_accuracy=right(65),
    rounds=(
        SparsifyRound(round=1, sparsity=0.4, before_tuning=right(30), training=learned(60, before=30)),
        SparsifyRound(round=2, sparsity=0.6, before_tuning=right(20), training=None),
    ),
    kept_rounds=1,
    layers=(SparsifiedLayer(name="fc", weights=200, nonzero=50),),
    came_apart="nan",
)
_POLICY = AugmentationPolicy(
    policies=((AugmentationOperation(operation="shear_x", probability=0.25), AugmentationOperation(operation="color")),)
)


def test_a_tensor_without_points_is_shown(api: TestClient, services: Services) -> None:
    result = QuantizeResult(
        track="digits",
        bits=BitWidths(),
        merged=(),
        tensors=(_TENSOR.model_copy(update={"points": ()}),),
        training=None,
        **_COMMON,
    )
    job = accepted(api, {"architecture": {"name": "digits"}, "track": "digits"}, kind="quantize")
    ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))
    assert '<td class="n">–</td>' in api.get(job["urls"]["page"]).text


@pytest.mark.parametrize(
    ("kind", "result", "words"),
    [
        (
            "train",
            TrainResult(
                track="digits", training=learned(60, 80, kept=1), accuracy=right(77), teacher=right(91), **_COMMON
            ),
            [
                "Its teacher has 91 of 100",
                "77.00\xa0%",
                "the weights of epoch 1 were kept",
                "1, kept",
                "<svg",
                "made.onnx",
            ],
        ),
        (
            "quantize",
            QuantizeResult(
                track="digits", bits=BitWidths(), merged=_MERGED, tensors=(_TENSOR,), training=learned(60), **_COMMON
            ),
            [
                '<circle class="front" cx="100.0%" cy="50.0%"',
                "correct by rounding alone",
                "1 batch norm merged",
                "2^-7 to 2^-3",
                "2.50\xa0%",
                "1.25e-04",
                "<svg",
            ],
        ),
        (
            "prune",
            PruneResult(track="digits", pruning=pruned((40, 30), 900, kept=1, asked=55), accuracy=None, **_COMMON),
            [
                "2 (undone: under the floor)",
                ">55<",
                "rotation in, core",
                "\N{MINUS SIGN}100",
                "not measured on test images",
                "1 left alone",
            ],
        ),
        (
            "sparsify",
            SparsifyResult(track="digits", sparsifying=_SPARSE, accuracy=right(64), **_COMMON),
            ["40.00\xa0%", "2 (undone: under the floor)", "75.00\xa0%"],
        ),
        (
            "fuse",
            FuseResult(
                merged=_MERGED,
                merged_layers=(MergedLayer(layer="fc1", into="fc2"),),
                removed=(RemovedOperation(name="drop", op="dropout"),),
                removed_channels=(RemovedChannels(layer="conv9", constant=3, unread=2),),
                before=totals(1000),
                after=totals(990),
                largest_difference=2e-6,
                largest_logit=5.75,
                **_COMMON,
            ),
            ["no logit differs by more than 2e-06", "fc2", "3 that gave the same number", "\N{MINUS SIGN}10<"],
        ),
        (
            "augment",
            AugmentResult(
                track="digits",
                policy=_POLICY,
                loss_without=0.5,
                loss_with=0.75,
                accuracy_without=right(80),
                accuracy_with=right(90),
                **_COMMON,
            ),
            ["shear x (25\xa0%, 0.50), then color (100\xa0%, 0.50)", "80 of 100", "0.7500"],
        ),
    ],
)
def test_every_answer_is_a_page_that_a_person_reads(
    api: TestClient, services: Services, kind: str, result: Value, words: list[str]
) -> None:
    settings = {"architecture": {"name": "digits"}} | ({"track": "digits"} if kind != "fuse" else {})
    job = accepted(api, settings, kind=kind)
    ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))
    text = api.get(job["urls"]["page"]).text
    assert SCRIPT not in text
    plain = html.unescape(text)
    for word in words:
        assert word in plain, word


def test_the_stages_of_a_pipeline_say_what_they_did(api: TestClient, services: Services) -> None:
    stages = [
        stage(1, "train", 0.5).model_copy(update={"report": learned(60, 80)}),
        stage(2, "prune", 0.4).model_copy(update={"report": pruned((40,), 1000)}),
        stage(3, "fuse", 0.3),
    ]
    job = accepted(api, {"recipe": "digits"}, kind="pipeline")
    ended(services, Ending(Status.SUCCEEDED, pipeline_text(*stages)))
    text = api.get(job["urls"]["page"]).text
    assert re.findall("<summary>What stage (.*?) did</summary>", text) == ["1 train", "2 prune"]
    assert "40 directions went" in text
    labels = re.findall('role="region" aria-label="([^"]*)"', text)
    assert "Rounds of pruning, stage 2 prune" in labels
    assert len(labels) == len(set(labels)), "each can be told from the others"
