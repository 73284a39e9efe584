"""Results of every kind on their pages: pipelines from stage to stage, what fusing and quantizing changed, the rest."""

import html
import re
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import Response

from app.pages import compare
from app.pages import job as job_page
from app.pages.drawings.road import draw_road
from app.pages.drawings.stages import draw_stages
from app.pages.rendering import render
from app.pages.results import MOST_LISTED, other_view
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
from tests.app.pages.layers import layer
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
    assert "Its teacher has 91 of 100 held-out" in plain
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
    for words in (
        "<bdi>bn1</bdi> into <bdi>conv1</bdi>",
        "drop</bdi> (dropout)",
        "2^-7 to 2^-3",
        "1.25e-04",
        "\N{MINUS SIGN}2",
        "\N{MINUS SIGN}5",
    ):
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


def _deep(layers: int) -> ScoreResult:
    """A score of so many layers, each of which costs more than the one before it; all that fusing changed, as long."""
    names = [f"conv{index:05}" for index in range(layers)]
    totals = NetworkTotals(parameters=12, nonzero=12, multiplications=30, additions=20)
    grid = QuantizedTensor(
        name="w", kind="weight", bits=9, points=None, values=None, clipped=None, relative_squared_error=None
    )
    changes = Changes(
        merged=tuple(MergedBatchNorm(norm=f"norm of {name}", into=name) for name in names),
        removed=tuple(RemovedOperation(name=f"dropout of {name}", op="dropout") for name in names),
        before=totals,
        after=totals,
        tensors=tuple(grid.model_copy(update={"name": f"weight of {name}"}) for name in names),
    )
    costs = tuple(layer(name, multiplications=1, math=index + 1.0) for index, name in enumerate(names))
    result = ScoreResult.model_validate_json(score_text(350, 0.4))
    return result.model_copy(update={"layers": costs, "changes": changes})


def test_of_a_very_deep_network_the_page_has_the_costliest_layers_and_says_so(
    api: TestClient, services: Services
) -> None:
    ids = []
    for count in (MOST_LISTED + 1, MOST_LISTED, 1):
        ids.append(accepted(api, {"track": "digits"})["id"])
        ended(services, Ending(Status.SUCCEEDED, _deep(count).model_dump_json()))
    deep, full, small = (api.get(f"/ui/jobs/{job_id}").text for job_id in ids)
    assert f'The 1,000 costliest of 1,001 layers. <a href="/jobs/{ids[0]}">All of them as JSON</a>' in deep
    assert deep.count('<rect class="storage"') == deep.count('<th scope="row"><bdi>conv') == MOST_LISTED
    assert '<th scope="row"><bdi>conv00000<' not in deep, "the one that costs least"
    assert deep.index(">conv00001<") < deep.index(">conv01000<"), "in the order of the network"
    assert deep.count("The first 1,000 of 1,001.") == 3, "what was merged, what was removed, what is on grids"
    assert "1,001 batch norms merged" in deep
    for word in ("<li><bdi>norm of", "<li><bdi>dropout of", ">weight of"):
        assert (deep.count(word), full.count(word)) == (MOST_LISTED, MOST_LISTED)
    assert full.count('<th scope="row"><bdi>conv') == MOST_LISTED
    assert "All of them as JSON" not in full + small
    both = api.get(f"/ui/compare?a={ids[0]}&b={ids[2]}").text
    assert "those that differ most first, 1,000 of 1,001;" in both
    assert both.count("The 1,000 costliest of 1,001 layers.") == 1
    assert both.count('<th scope="row"><bdi>conv') == MOST_LISTED
    assert both.count('<rect class="storage"') == MOST_LISTED + 1


def test_of_an_optimized_network_that_is_very_deep_too(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits", "architecture": {"name": "digits"}}, kind="optimize")
    result = optimized(network("searched", 0.5, 905), looks=(0,), layer="wide")
    (wide,) = result.layers
    result = result.model_copy(update={"layers": (wide,) * (MOST_LISTED + 5)})
    ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))
    text = api.get(job["urls"]["page"]).text
    assert text.count('<th scope="row"><bdi>wide<') == MOST_LISTED
    assert "The first 1,000 of 1,005." in text


def test_a_layer_without_a_proof_is_shown(api: TestClient, services: Services) -> None:
    result = optimized(network("searched", 0.5, 905), looks=(0,), layer="empty")
    layers = tuple(layer.model_copy(update={"accumulator_bits": ()}) for layer in result.layers)
    job = accepted(api, {"track": "digits"}, kind="optimize")
    ended(services, Ending(Status.SUCCEEDED, result.model_copy(update={"layers": layers}).model_dump_json()))
    text = api.get(job["urls"]["page"]).text
    assert '<td class="n">–</td>' in text.partition("Proven sums, bits")[2].partition("</table>")[0]


def test_pages_that_are_as_long_as_a_network_is_deep_keep_nobody_waiting(
    api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering: list[str] = []

    def watched(*values: Any, **named: Any) -> Response:
        rendering.append(threading.current_thread().name)
        return render(*values, **named)

    for module in (job_page, compare):
        monkeypatch.setattr(module, "render", watched)
    ids = []
    for _ in range(2):
        ids.append(accepted(api, {"track": "digits"})["id"])
        scored(services)
    for page in (f"/ui/jobs/{ids[0]}", f"/ui/compare?a={ids[0]}&b={ids[1]}"):
        assert api.get(page).status_code == 200
    assert [name.split("_")[0] for name in rendering] == ["files", "files"], "in a thread, and not between requests"


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


def test_any_other_result_is_a_list_of_facts() -> None:
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
    shown = other_view(result)
    assert ("largest_logit", "1.5") in shown.facts
    assert shown.warnings == ("careful",)
