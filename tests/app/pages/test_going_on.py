"""From a job's page on with its files: to a score, to any other kind, and what is handed on to it."""

import html
import re

import pytest
from fastapi.testclient import TestClient

from app.handed_on import handed_on, name_of_made
from app.pages.going_on import further_fields
from app.services import Services
from micronet.contract import PipelineSettings, ScoreSettings
from micronet.jobs import JOBS
from tests.app.http.results import score_text
from tests.app.http.sending import accepted
from tests.app.pages.controls import sent_as_shown
from tests.app.pages.records import ended
from worker.records.values import Artifact, Ending, Status, StoredBlob


def made(api: TestClient, services: Services, kind: str, name: str, settings: dict[str, object]) -> str:
    """The page of a job that made a file of this name."""
    job = accepted(api, settings, kind=kind)
    blob = services.records.blobs.add(StoredBlob("b" * 64, 4, "bb/1"), "")
    ended(services, Ending(Status.SUCCEEDED, artifacts=(Artifact(name=name, sha256=blob.sha256, size=4),)))
    return api.get(job["urls"]["page"]).text


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("optimize", {}, {"policy": "challenge", "accumulators": "proven", "bit_true": True}),
        ("quantize", {}, {"policy": "challenge", "accumulators": "declared", "bit_true": False}),
        ("pipeline", {"recipe": "digits"}, {"policy": "report", "accumulators": "declared", "bit_true": False}),
    ],
)
def test_a_file_that_a_job_made_is_scored_as_it_is(
    api: TestClient, services: Services, kind: str, settings: dict[str, object], expected: dict[str, object]
) -> None:
    given = {"track": "digits", "normalize": {"mean": [0.5], "std": [0.25]}, "seed": 7, "name": 'our "net"', **settings}
    text = made(api, services, kind, "made 1.onnx", given)
    form = text.partition('action="/ui/submit/score"')[2].partition("</form>")[0]
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    api.follow_redirects = False
    sent = api.post("/ui/submit/score", files={name: (None, html.unescape(value)) for name, value in fields})
    assert sent.status_code == 303, sent.text
    job = api.get(sent.headers["location"].replace("/ui", "")).json()
    assert job["checkpoint"] == {"sha256": "b" * 64, "size": 4, "filename": "made 1.onnx"}
    same = {name: given[name] for name in ("track", "normalize", "seed")} | {"name": 'our "net", made 1'}
    always = {"bits": None, "evaluate": True, "fuse_batchnorm": True, "encoding": "cheapest"}
    assert {name: job["settings"][name] for name in same | expected | always} == same | expected | always


def further(text: str) -> dict[str, str]:
    """Where the links of a job's file lead, by kind."""
    links = re.findall(r'<a href="(/ui/submit\?kind=\w+&amp;from=[^"]*)">(\w+)<', text)
    return {kind: html.unescape(address) for address, kind in links}


def test_a_file_that_a_job_made_goes_on_to_any_kind(api: TestClient, services: Services) -> None:
    given = {"track": "digits", "normalize": {"mean": [0.5], "std": [0.25]}, "seed": 7, "name": 'our "net"'}
    links = further(made(api, services, "quantize", "made 1.onnx", given))
    assert links.keys() == JOBS.keys() - {"score", "count"}
    api.follow_redirects = False
    for kind, address in links.items():
        form = api.get(address).text.partition(f'action="/ui/submit/{kind}"')[2].partition("</form>")[0]
        assert ("made 1.onnx is here already" in form, "our &#34;net&#34;" in form) == (True, True)
        kept = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
        assert dict(kept) | {"key": ""} == {"key": "", "checkpoint_sha256": "b" * 64, "filename": "made 1.onnx"}
        shared = {name: value for name, value in given.items() if name in JOBS[kind].settings.model_fields}
        shared["name"] = 'our "net", made 1'
        (job_id,) = re.findall(r"from=(\w+)", address)
        fields = further_fields(kind, services.records.jobs.read(job_id), "made 1.onnx")
        recipe = {"recipe": "digits"} if kind == "pipeline" else {}
        sent = api.post(
            f"/ui/submit/{kind}", files={n: (None, v) for n, v in {**fields, **dict(kept), **recipe}.items()}
        )
        assert sent.status_code == 303, (kind, sent.text)
        job = api.get(sent.headers["location"].replace("/ui", "")).json()
        assert (job["kind"], job["checkpoint"]["sha256"]) == (kind, "b" * 64)
        assert {name: job["settings"][name] for name in shared} == shared, kind


def test_a_file_of_no_track_goes_on_and_one_that_is_gone_is_said_to_be(api: TestClient, services: Services) -> None:
    assert further(made(api, services, "augment", "policy.json", {})) == {}
    text = made(api, services, "fuse", "fused.onnx", {"name": "mine"})
    assert further(text).keys() == JOBS.keys() - {"count"}, "a score too, whose track somebody has to choose"
    scoring = api.get(further(text)["score"]).text
    assert ("fused.onnx is here already" in scoring, 'value="mine, fused"' in scoring) == (True, True)
    assert 'name="quantize" value="on" checked' not in scoring, "nothing is put on top of it"
    address = further(text)["prune"]
    assert "fused.onnx is here already" in api.get(address).text
    assert "fused.onnx is here already" in api.get(address.replace("kind=prune&", "")).text, "a score"
    wrong = api.get(address.replace("fused.onnx", "other.onnx"))
    assert (wrong.status_code, "none of the files of that job: net.onnx, fused.onnx" in wrong.text) == (422, True)
    services.records.blobs.forget_unneeded(days=0, total_bytes=0)
    assert "The file is not kept any more; choose it again." in api.get(address).text
    (job_id,) = re.findall(r'href="/ui/submit\?from=(\w+)"', text)
    assert further(api.get(f"/ui/jobs/{job_id}").text) == {}


@pytest.mark.parametrize(
    ("kind", "policy", "expected"),
    [("optimize", "report", None), ("optimize", "challenge", "challenge"), ("pipeline", "report", "report")],
)
def test_only_what_the_other_kind_takes_is_handed_on(kind: str, policy: str, expected: str | None) -> None:
    """Optimizing knows one policy only, and no bits."""
    told = PipelineSettings(recipe="digits").model_dump(mode="json") | {"policy": policy, "seed": 7}
    handed = handed_on(kind, "pipeline", told, "5-quantize.onnx")
    assert (handed.get("policy"), handed["track"], handed["seed"]) == (expected, "digits", 7)
    assert JOBS[kind].settings.model_validate(handed)


def test_a_pipelines_file_goes_on_to_be_optimized_as_the_form_comes(api: TestClient, services: Services) -> None:
    text = made(api, services, "pipeline", "3-sparsify.onnx", {"recipe": "digits", "name": "Whole road"})
    form = api.get(further(text)["optimize"]).text
    assert re.search(r'name="settings"[^>]*></textarea>', form), "nothing is said as JSON"
    assert 'value="Whole road, 3-sparsify"' in form


def test_a_name_says_which_file_it_is_and_stays_within_its_limit() -> None:
    assert name_of_made("Whole road", "3-sparsify.onnx") == "Whole road, 3-sparsify"
    long = name_of_made("x" * 200, "fused.onnx")
    assert (len(long), long[-9:]) == (200, "xx, fused")
    assert ScoreSettings(name=name_of_made("x" * 200, "y" * 300 + ".onnx"))


def test_the_file_of_a_score_goes_on_to_every_kind_with_its_architecture(api: TestClient, services: Services) -> None:
    given = {"track": "digits", "seed": 7, "architecture": {"name": "digits", "options": {"width": 16}}, "name": "mine"}
    job = accepted(api, given, filename="our net.pth")
    ended(services, Ending(Status.SUCCEEDED, score_text(350, 0.4)))
    links = further(api.get(job["urls"]["page"]).text)
    assert links.keys() == JOBS.keys() - {"score", "count"}
    form = api.get(links["optimize"]).text
    assert "our net.pth is here already" in form
    for shown in ('<option value="digits" selected>', 'name="seed" value="7"', ">width=16</textarea>", 'value="mine"'):
        assert shown in form, shown
    services.records.blobs.forget_unneeded(days=0, total_bytes=0)
    assert further(api.get(job["urls"]["page"]).text) == {}


def ways(api: TestClient, services: Services, settings: dict[str, object], correct: int = 300) -> list[str]:
    """Where the page of a score leads that may be under the floor because of its widths."""
    job = accepted(api, {"track": "digits", "seed": 3, **settings}, filename="our net.onnx")
    ended(services, Ending(Status.SUCCEEDED, score_text(correct, 0.4)))
    said = re.findall(r"The widths of this job did it, perhaps(.*?)</p>", api.get(job["urls"]["page"]).text)
    return [html.unescape(address) for each in said for address in re.findall('href="([^"]*)"', each)]


def test_under_the_floor_with_widths_of_its_job_a_score_says_what_else_to_try(
    api: TestClient, services: Services
) -> None:
    assert ways(api, services, {"bits": None}) == []
    assert ways(api, services, {}, correct=350) == []
    assert len(ways(api, services, {"quantizer": {"rule": "mse", "granularity": "channel"}})) == 2
    asked = []
    for address in ways(api, services, {"name": "mine"}):
        sent = sent_as_shown(api, address)
        assert (sent["checkpoint"]["filename"], sent["name"], sent["settings"]["seed"]) == ("our net.onnx", "mine", 3)
        asked.append((sent["kind"], sent["settings"].get("bits"), sent["settings"].get("quantizer")))
    usual = ScoreSettings().model_dump(mode="json")
    finer = usual["quantizer"] | {"rule": "mse", "granularity": "channel"}
    assert asked == [
        ("score", None, usual["quantizer"]),
        ("score", usual["bits"], finer),
        ("optimize", None, None),
    ]


def test_of_two_files_that_are_equal_each_keeps_its_name(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits", "recipe": "digits"}, kind="pipeline")
    blob = services.records.blobs.add(StoredBlob("b" * 64, 4, "bb/1"), "")
    names = ("3-fuse.onnx", "4-quantize.onnx")
    ended(
        services,
        Ending(Status.SUCCEEDED, artifacts=tuple(Artifact(name=name, sha256=blob.sha256, size=4) for name in names)),
    )
    text = api.get(job["urls"]["page"]).text
    for name in names:
        listed = text.partition('id="files"')[2].partition(f">{name}<")[2].partition("</li>")[0]
        assert f'name="filename" value="{name}"' in listed
        assert f"file={name}" in further(listed)["optimize"]


def test_what_cannot_be_scored_has_no_button(api: TestClient, services: Services) -> None:
    assert "Score this file" not in made(api, services, "fuse", "fused.onnx", {}), "of no track"
    assert "Score this file" not in made(api, services, "augment", "policy.json", {}), "no network"
    quantized = made(api, services, "quantize", "quantized.onnx", {})
    assert "Score this file" in quantized
    services.records.blobs.forget_unneeded(days=0, total_bytes=0)
    (job_id,) = re.findall(r'href="/ui/submit\?from=(\w+)"', quantized)
    assert "Score this file" not in api.get(f"/ui/jobs/{job_id}").text, "gone"
