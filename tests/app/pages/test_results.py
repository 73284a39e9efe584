"""Results of every kind on their pages: pipelines from stage to stage, what fusing and quantizing changed, the rest."""

import html
import re

import pytest
from fastapi.testclient import TestClient

from app.pages.drawings.road import draw_road
from app.pages.drawings.stages import draw_stages
from app.services import Services
from micronet.contract import (
    ArtifactFile,
    Changes,
    FuseResult,
    MergedBatchNorm,
    NetworkTotals,
    PipelineResult,
    QuantizedTensor,
    RemovedOperation,
    Scorer,
    ScoreResult,
)
from micronet.tracks import track
from tests.app.http.results import score_text
from tests.app.http.sending import accepted
from tests.app.pages.optimized import network, optimized
from tests.app.pages.pipelines import pipeline_text, stage
from tests.app.pages.records import ended, scored
from worker.records.values import Ending, Status

SCRIPT = "<script>alert(1)</script>"


def test_a_pipeline_is_drawn_and_written_down_stage_by_stage(api: TestClient, services: Services) -> None:
    job = accepted(api, {"recipe": "digits"}, kind="pipeline")
    stages = (stage(1, "train", 4.0), stage(2, "prune", 2.0, accepted=False, correct=200), stage(3, "fuse", 0.5))
    ended(services, Ending(Status.SUCCEEDED, pipeline_text(*stages, stopped="prune", warning=SCRIPT)))
    text = api.get(job["urls"]["page"]).text
    assert text.count('<circle class="entry"') == 4, "two stages that were kept, in two panels"
    assert text.count('<path class="under"') == 2
    assert SCRIPT not in text
    plain = html.unescape(text)
    for words in ("1 train", "2 prune (undone: under the floor)", "97.22", "55.56", "0.500000", "8.0", "3-fuse.onnx"):
        assert words in plain, words
    assert "stage prune fell under the floor" in plain
    assert "floor of the track 95.00%" in plain


def test_the_floor_in_the_picture_of_a_pipeline_is_the_tracks_and_says_so() -> None:
    measured, not_measured = (stage(1, "train", 4.0, correct=correct) for correct in (350, None))
    drawn = draw_stages(PipelineResult.model_validate_json(pipeline_text(measured)), track("digits"))
    assert (drawn.floor is not None, drawn.floor_text) == (True, "floor of the track 95.00%")
    held_out = draw_stages(PipelineResult.model_validate_json(pipeline_text(not_measured)), track("digits"))
    assert (held_out.floor, held_out.floor_text) == (None, "")


@pytest.mark.parametrize("scores", [(0.0,), (1.0, 1.0, 1.0), (0.3, 0.31), (900.0, 1e-7), tuple(range(1, 66))])
@pytest.mark.parametrize("correct", [None, 0, 360])
def test_every_point_of_a_pipeline_lies_within_its_drawing(scores: tuple[float, ...], correct: int | None) -> None:
    stages = [stage(index, "sparsify", float(score), correct=correct) for index, score in enumerate(scores)]
    drawing = draw_stages(PipelineResult.model_validate_json(pipeline_text(*stages)), track("digits"))
    for point in drawing.points:
        assert drawing.left <= point.x <= drawing.right
        assert 0 <= point.accuracy_y < point.score_y <= drawing.height
    assert drawing.score_ticks
    assert drawing.accuracy_ticks
    assert len({point.x for point in drawing.points}) == len(scores)


def test_the_road_of_an_optimize_job(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits", "architecture": {"name": "digits"}}, kind="optimize")
    road = (
        network("searched", 0.5, 905),
        network("searched", 0.3, 880, SCRIPT),
        network("searched", 0.4, 895),
        network("uniform", 0.6, 890),
    )
    result = optimized(*road, looks=(1, 2), layer=SCRIPT, warning=SCRIPT)
    ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))
    text = api.get(job["urls"]["page"]).text
    assert SCRIPT not in text
    assert text.count('<circle class="entry"') == 3
    assert text.count('<circle class="front"') == 2, "two looks at the test set"
    plain = html.unescape(text)
    for words in ("5.00 times lower", "one for all: uniform 0.6", "341 (under the floor)", "11 to 13", "123", "97.00"):
        assert words in plain, words
    assert "Where it comes from" in plain, "the score of what was found, taken apart"


@pytest.mark.parametrize("scores", [(0.5,), (2.0, 2.0, 2.0), (0.3, 0.31, 1e-7), (0.0,)])
def test_every_network_of_a_road_lies_within_its_drawing(scores: tuple[float, ...]) -> None:
    points = [network("searched", score, 900 - index) for index, score in enumerate(scores)]
    drawing = draw_road(optimized(*points, network("uniform", 5.0, 0), looks=(0,)))
    marks = (*drawing.searched, *drawing.uniform, drawing.before)
    assert len(marks) == len(scores) + 2
    for mark in marks:
        assert 0 <= mark.x <= 100
        assert 0 <= mark.y <= 100
    assert [mark.looked for mark in drawing.searched] == [True, *[False] * (len(scores) - 1)]
    assert drawing.line.startswith("M")


def test_what_fusing_and_quantizing_changed(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    before = NetworkTotals(parameters=12, nonzero=12, multiplications=30, additions=20)
    after = NetworkTotals(parameters=10, nonzero=9, multiplications=25, additions=20)
    tensors = (
        QuantizedTensor(
            name=SCRIPT, kind="weight", bits=9, points=(7, 3), values=200, clipped=5, relative_squared_error=1.25e-4
        ),
        QuantizedTensor(
            name="x", kind="activation", bits=12, points=None, values=None, clipped=None, relative_squared_error=None
        ),
    )
    changes = Changes(
        merged=(MergedBatchNorm(norm="bn1", into="conv1"),),
        removed=(RemovedOperation(name="drop", op="dropout"),),
        before=before,
        after=after,
        tensors=tensors,
    )
    result = ScoreResult.model_validate_json(score_text(350, 0.4)).model_copy(update={"changes": changes})
    ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))
    text = api.get(job["urls"]["page"]).text
    assert SCRIPT not in text
    plain = html.unescape(text)
    for words in ("bn1 into conv1", "drop (dropout)", "2^-7 to 2^-3", "1.25e-04", "\N{MINUS SIGN}2", "\N{MINUS SIGN}5"):
        assert words in plain, words
    assert re.search(r"2\.50\s%", plain), "5 of 200 values clipped"


def test_names_of_layers_and_warnings_are_text(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    result = ScoreResult.model_validate_json(score_text(350, 0.4))
    layers = tuple(layer.model_copy(update={"name": SCRIPT, "op": SCRIPT}) for layer in result.layers)
    hostile = result.model_copy(update={"layers": layers, "warnings": (SCRIPT,)})
    ended(services, Ending(Status.SUCCEEDED, hostile.model_dump_json()))
    other = accepted(api, {"track": "digits"})
    scored(services)
    for page in (job["urls"]["page"], f"/ui/compare?a={job['id']}&b={other['id']}"):
        text = api.get(page).text
        assert SCRIPT not in text
        assert html.escape(SCRIPT) in text


def test_a_finished_count_has_the_counts_of_the_file(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"}, kind="count")
    result = ScoreResult.model_validate_json(score_text(350, 0.4))
    counted = result.model_copy(update={"accuracy": None, "qualifies": None})
    ended(services, Ending(Status.SUCCEEDED, counted.model_dump_json()))
    for page in (f"/ui/submit?from={job['id']}", f"/ui/submit/counted/{job['id']}"):
        text = api.get(page).text
        assert "0.400000" in text
        assert "if it reaches the floor" in text
        assert "10, 9 not zero" in text
        assert "hx-get" not in text


def test_any_other_result_is_a_list_of_facts(api: TestClient, services: Services) -> None:
    job = accepted(api, kind="fuse")
    totals = NetworkTotals(parameters=12, nonzero=12, multiplications=30, additions=20)
    result = FuseResult(
        merged=(),
        merged_layers=(),
        removed=(),
        removed_channels=(),
        before=totals,
        after=totals,
        largest_difference=0.0,
        largest_logit=1.5,
        artifact=ArtifactFile(name="fused.onnx", sha256="b" * 64, size=7),
        scorer=Scorer(version="1", torch="2", device="cpu", dataset=None, seed=0),
        warnings=("careful",),
    )
    ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))
    shown = api.get(job["urls"]["page"]).text
    assert "largest logit" in shown
    assert "careful" in shown
