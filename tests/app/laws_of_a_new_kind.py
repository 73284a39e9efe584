"""What one more row in the table of jobs brings with it; run by `test_new_kinds`, where there is such a row."""

import json
from pathlib import Path

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.commands.program import app
from app.pages.forms import form_of
from app.services import Services
from micronet.jobs import JOBS
from tests.app.a_new_kind import KIND, ProbeSettings
from worker.records.values import Ending, Status

pytest_plugins = ["tests.app.http.conftest"]


def test_its_form_has_a_field_for_all_that_can_be_drawn_and_says_what_has_none() -> None:
    form = form_of(KIND)
    assert form.plan.first == ("name", "team", "share", "way", "quietly", "words", "seed")
    assert [group.title for group in form.plan.groups] == ["Architecture", "Needle", "Augmentation"]
    assert form.plan.rest == "needle/points, by_layer"
    assert form.fields["needle/seed"].words.label == "Needle: seed"
    assert form.fields["share"].hint == "how much of it (above 0, below 1)"


def test_its_form_is_a_page_and_queues_a_job_that_is_shown(api: TestClient, services: Services) -> None:
    shown = api.get(f"/ui/submit?kind={KIND}")
    assert (shown.status_code, "needle/points, by_layer" in shown.text) == (200, True)
    fields = {"share": "0.5", "words": "one\ntwo", "needle/depth": "4", "settings": '{"by_layer": {"stem": {}}}'}
    parts = {name: (None, text) for name, text in fields.items()}
    wrong = api.post(f"/ui/submit/{KIND}", files={**parts, "share": (None, "2"), "checkpoint": ("net.onnx", b"net")})
    assert (wrong.status_code, "Input should be less than 1" in wrong.text) == (422, True)
    api.post(f"/ui/submit/{KIND}", files={**parts, "checkpoint": ("net.onnx", b"net")})
    (job,) = api.get("/jobs").json()["jobs"]
    told = ProbeSettings.model_validate_json(json.dumps(job["settings"]))
    assert (told.share, told.words, told.needle.depth, list(told.by_layer)) == (0.5, ("one", "two"), 4, ["stem"])
    claimed = services.records.leases.claim("worker", ("short",))
    assert claimed is not None
    services.records.leases.finish(claimed, Ending(Status.SUCCEEDED, '{"found": 2}'))
    assert api.get(f"/jobs/{job['id']}").json()["result"] == {"found": 2}
    for page in (f"/ui/jobs/{job['id']}", f"/ui/submit?from={job['id']}", "/ui/jobs?kind=probe", "/guide", "/metrics"):
        assert api.get(page).status_code == 200, page


def test_it_is_a_route_of_the_api_and_of_its_document(api: TestClient) -> None:
    sent = api.post(f"/{KIND}", files={"checkpoint": b"net", "settings": (None, '{"share": 0.5}')})
    assert (sent.status_code, sent.json()["kind"]) == (202, KIND)
    document = api.get("/openapi.json").json()
    assert document["paths"][f"/{KIND}"]["post"]["summary"] == JOBS[KIND].summary
    assert document["components"]["schemas"][f"{KIND}.Settings"]["required"] == ["share"]


def test_it_is_a_command(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"net")
    told = ["--settings", '{"share": 0.5, "words": ["one"]}', "--output", str(tmp_path), "--json"]
    ran = CliRunner().invoke(app, [KIND, str(file), *told])
    assert (ran.exit_code, json.loads(ran.stdout)) == (0, {"found": 1})
