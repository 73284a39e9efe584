"""The form: what it queues, what it says is wrong and where, and that nothing put into it is lost."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.pages.forms import form_of
from app.services import Services
from micronet.jobs import JOBS
from tests.app.http.conftest import MakeServices, called, stored_files
from tests.app.pages.controls import shown_in
from tests.app.pages.posting import NETWORK, POLICY, only_job, post
from tests.app.pages.records import failed
from worker.records.database import Database
from worker.records.jobs import Filter
from worker.records.tables import jobs
from worker.records.values import Ending, Status

LONG = f"depth={'1' * 5000}"  # more digits than Python reads


TUNING = {"epochs": 3, "clip_norm": None, "augmentation": {"crop": 2, "flip": False, "policy": POLICY}}


TOLD: Mapping[str, Mapping[str, Any]] = {
    "score": {"bits": None, "evaluate": False, "architecture": {"name": "digits", "options": {"width": 16}}},
    "quantize": {"layers": {"stem*": {"param_bits": 7}}, "train": TUNING, "quantizer": {"rule": "mse"}},
    "fuse": {"name": "two  spaces "},
    "train": {"milestones": [], "distillation": {"teacher": hashlib.sha256(NETWORK).hexdigest()}, "evaluate": False},
    "prune": {"compression": 0.5, "fine_tuning": TUNING},
    "sparsify": {"keep_layers": ["stem", " classifier"], "fine_tuning": {"augmentation": {"crop": 1}}},
    "augment": {"folds": 2, "cuda_graphs": True},
    "optimize": {"weight_bits": [3, 6], "correct": False, "tuning": {"augmentation": {"policy": POLICY}}},
    "pipeline": {"recipe": "digits", "seed": 0, "floor": None, "stages": [{"stage": "train", "epochs": 1}]},
}
"""Settings of each kind, with some that no field can say."""


def test_a_filled_form_is_a_job(page: TestClient, services: Services) -> None:
    answer = post(
        page, **{"name": "ours", "quantize": "on", "bits__param_bits": "7", "track": "digits", "evaluate": "on"}
    )
    job = only_job(services)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/jobs/{job.id}")
    assert (job.kind, job.name, job.checkpoint.filename) == ("score", "ours", "net.onnx")
    assert '"param_bits":7' in job.settings


def test_counting_comes_back_to_the_form_as_it_was(page: TestClient, services: Services) -> None:
    answer = post(page, "count", name="ours", policy="challenge")
    job = only_job(services)
    assert answer.headers["location"] == f"/ui/submit?from={job.id}#counted"
    again = page.get(answer.headers["location"]).text
    assert 'value="ours"' in again
    assert '<option value="challenge" selected>' in again
    assert f'name="checkpoint_sha256" value="{job.checkpoint.sha256}"' in again
    assert "net.onnx is here already" in again
    assert f'hx-get="/ui/submit/counted/{job.id}?seen=queued-1"' in again


def test_what_happens_to_a_file_at_once_is_said(page: TestClient, services: Services) -> None:
    """Counting is a job too, which the list has: that nothing was queued was not so."""
    (said,) = re.findall(r'id="at-once" hidden>([^<]*)<', page.get("/ui/submit").text)
    assert "a short job counts it" in said
    assert "queued" not in said


def test_a_file_that_is_here_is_not_yet_one_that_is_good(page: TestClient, services: Services) -> None:
    """Its name stood with a tick beside it, above what was wrong with it."""
    answer = post(page, "count")
    failed(services, yours=True)
    text = page.get(answer.headers["location"]).text
    assert "net.onnx is here already" in text
    assert "what was wrong" in text
    assert "\N{CHECK MARK}" not in text


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"quantize": "on", "bits__param_bits": "33"}, "bits/param_bits", "32"),
        ({"quantize": "on", "bits__mul_bits": "twelve"}, "bits/mul_bits", "integer"),
        ({"track": "mine"}, "track", "mine"),
        ({"architecture__name": "resnet51"}, "architecture/name", "resnet51"),
        ({"architecture__name": "pyramidnet", "architecture__options": "depth=9"}, "architecture/options", "depth"),
        ({"architecture__name": "pyramidnet", "architecture__options": LONG}, "architecture/options", "depth"),
        ({"architecture__options": "depth 9"}, "architecture/options", "KEY=VALUE"),
        ({"normalize__mean": "0, x, 0", "normalize__std": "1, 1, 1"}, "normalize/mean", "number"),
        ({"name": "x" * 201}, "name", "200"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_has_to_be_sent_again(
    page: TestClient, services: Services, fields: dict[str, str], where: str, words: str
) -> None:
    answer = post(page, **fields)
    assert answer.status_code == 422
    field = form_of("score").fields[where]
    (said,) = re.findall(rf'id="{field.id}-fault">([^<]*)', answer.text)
    assert words in said
    assert f'href="#{field.id}"' in answer.text
    (sha256,) = re.findall(r'name="checkpoint_sha256" value="(\w+)"', answer.text)
    assert len(stored_files(services)) == 1
    mended = post(page, content=None, checkpoint_sha256=sha256, filename="net.onnx", track="digits")
    assert mended.status_code == 303, mended.text
    assert only_job(services).checkpoint.filename == "net.onnx"


def test_without_a_file_the_form_asks_for_one(page: TestClient, services: Services) -> None:
    answer = post(page, content=None, name="ours")
    assert answer.status_code == 422
    assert re.findall(r'id="checkpoint-fault">([^<]*)', answer.text)
    assert 'value="ours"' in answer.text
    assert post(page, content=b"").status_code == 422
    assert stored_files(services) == []


def test_a_new_file_takes_the_place_of_the_one_that_was_there(page: TestClient, services: Services) -> None:
    first = post(page, "count")
    (sha256,) = re.findall(r'name="checkpoint_sha256" value="(\w+)"', page.get(first.headers["location"]).text)
    post(page, content=b"another", checkpoint_sha256=sha256, filename="net.onnx")
    newest = services.records.jobs.list(Filter(), 1)[0]
    assert newest.checkpoint is not None
    assert newest.checkpoint.sha256 != sha256


def test_a_pipeline_is_queued_and_filled_in_again_without_a_word_of_json(page: TestClient, services: Services) -> None:
    answer = post(page, "pipeline", content=None, recipe="digits", evaluate="no", floor="none")
    job = only_job(services)
    assert (answer.status_code, job.kind) == (303, "pipeline")
    settings = json.loads(job.settings)
    assert (settings["track"], settings["below"]) == ("digits", "step_back"), "the recipe's"
    assert (settings["evaluate"], settings["floor"]) == (False, None)
    again = page.get(f"/ui/submit?from={job.id}").text
    assert '<option value="digits" selected>digits</option>' in again
    assert '<option value="no" selected>no</option>' in again
    assert re.search(r'name="floor" value="none"', again)
    assert re.search(r'name="settings"[^>]*></textarea>', again), "nothing is said as JSON"
    assert '<option value="" selected>the recipe’s, or stop</option>' in again


def test_settings_may_be_put_in_as_json_and_are_shown_again_where_they_are_wrong(
    page: TestClient, services: Services
) -> None:
    wrong = post(page, "train", content=None, settings='{"epochs": -1}', batch="64")
    assert wrong.status_code == 422
    assert "{&#34;epochs&#34;: -1}</textarea>" in wrong.text
    assert 'name="batch" value="64"' in wrong.text
    (said,) = re.findall(r'id="settings-fault">([^<]*)', wrong.text)
    assert said.startswith("epochs: Input should be")
    right = {"architecture": {"name": "digits"}, "epochs": 1}
    assert post(page, "train", content=None, settings=json.dumps(right), batch="64").status_code == 303
    settings = json.loads(only_job(services).settings)
    assert (settings["epochs"], settings["batch"]) == (1, 64)


def test_what_is_said_twice_is_said_to_be_at_both_places(page: TestClient) -> None:
    answer = post(page, "train", content=None, settings='{"epochs": 3}', epochs="5")
    assert answer.status_code == 422
    assert re.findall(r'id="field-epochs-fault">([^<]*)', answer.text)
    assert re.findall(r'id="settings-fault">([^<]*)', answer.text)
    assert 'href="#field-epochs"' in answer.text
    assert 'href="#settings"' in answer.text


def test_a_recipe_is_filled_in_to_be_changed(page: TestClient) -> None:
    text = page.get("/ui/submit?recipe=digits").text
    assert '<option value="digits" selected>digits</option>' in text, "its architecture"
    assert 'name="floor" value="0.95"' in text
    assert "&#34;stage&#34;: &#34;prune&#34;" in text
    assert page.get("/ui/submit?recipe=luck").status_code == 422


def test_a_teacher_that_is_gone_is_said_to_be_gone_where_it_is_named(page: TestClient, services: Services) -> None:
    answer = post(page, "train", **{"track": "digits", "distillation__teacher": "a" * 64})
    assert answer.status_code == 422
    (said,) = re.findall(r'id="field-distillation-teacher-fault">([^<]*)', answer.text)
    assert "a" * 64 in said
    assert "net.onnx is here already" in answer.text, "the network's own file is not what is missing"
    gone = hashlib.sha256(b"gone").hexdigest()
    as_json = {"settings": json.dumps({"distillation": {"teacher": gone}})}
    named = post(page, "train", **{**form_of("train").comes, "track": "digits", **as_json})
    (said,) = re.findall(r'-fault">([^<]*)', named.text)
    assert gone in said
    assert 'id="settings-fault"' in named.text, "not at the seed, whose 0 is in the hash"


def test_what_the_server_knows_no_more_stays_chosen(page: TestClient, services: Services) -> None:
    """Or the form would mean something else than the job it was filled from."""
    post(page, track="digits")
    job = only_job(services)
    with closing(Database(services.settings.database)) as database:
        told = job.settings.replace('"track":"digits"', '"track":"gone"')
        database.write(lambda connection: connection.execute(update(jobs).values(settings=told)))
    assert '<option value="gone" selected>gone</option>' in page.get(f"/ui/submit?from={job.id}").text


@pytest.mark.parametrize("kind", [kind for kind in JOBS if kind != "count"])
def test_a_form_shown_and_sent_as_it_is_means_the_job_it_was_filled_from(
    page: TestClient, services: Services, kind: str
) -> None:
    """As a browser sends it: every control that is on the page, and no other."""
    told = TOLD[kind] | {"name": "an  entry", "track": "digits"} if kind != "fuse" else TOLD[kind]
    file = {"checkpoint": ("net.onnx", NETWORK)}
    first = page.post(f"/{kind}", files={**file, "settings": (None, json.dumps(told))})
    assert first.status_code == 202, first.text
    shown = shown_in(page.get(f"/ui/submit?from={first.json()['id']}").text)
    again = page.post(f"/ui/submit/{kind}", files={name: (None, text) for name, text in shown.sent.items()})
    assert again.status_code == 303, again.text
    second = page.get(again.headers["location"].replace("/ui", "")).json()
    assert second["id"] != first.json()["id"]
    for same in ("settings", "checkpoint", "name", "team"):
        assert second[same] == first.json()[same]


def test_fields_that_are_none_of_the_form_are_refused(page: TestClient) -> None:
    assert post(page, kind="score", luck="1").status_code == 422
    assert post(page, kind="luck").status_code == 422


def test_a_field_that_comes_twice_is_refused_and_leaves_nothing(page: TestClient, services: Services) -> None:
    file = ("checkpoint", ("a.onnx", b"first"))
    for second in (("checkpoint", ("b.onnx", b"second")), ("checkpoint", ("", b"xx"))):
        answer = page.post("/ui/submit/score", files=[file, second])
        assert answer.status_code == 422
        assert "comes twice" in answer.text
        assert stored_files(services) == []


def test_a_file_that_came_takes_the_place_of_the_other_though_the_job_is_refused(
    make_services: MakeServices, services: Services
) -> None:
    with called(make_services(team_waiting_jobs=1)) as page:
        page.follow_redirects = False
        old = post(page)
        assert old.status_code == 303
        (job,) = services.records.jobs.list(Filter(), 10)
        assert job.checkpoint is not None
        answer = post(page, content=b"new", checkpoint_sha256=job.checkpoint.sha256, filename="old.onnx")
        assert answer.status_code == 429
        assert "net.onnx is here already" in answer.text
        assert job.checkpoint.sha256 not in answer.text
        assert len(stored_files(services)) == 2


def test_refused_before_its_fields_the_form_is_as_it_comes(make_services: MakeServices) -> None:
    with called(make_services(upload_bytes=10)) as page:
        answer = post(page, content=b"x" * 3_000_000, name="ours")
    assert answer.status_code == 413
    assert 'name="quantize" value="on" checked' in answer.text
    assert 'name="evaluate" value="on" checked' in answer.text


def test_what_a_refused_form_shows_again_is_bounded_however_many_its_fields(make_services: MakeServices) -> None:
    """5 bytes on the page for each of 1,024 at most; the rest is the form's own."""
    with called(make_services(form_bytes=1024)) as page:
        usual = len(page.get("/ui/submit").text)
        several = post(page, content=None, **dict.fromkeys(("name", "team", "track"), "<" * 400))
        assert several.status_code == 413
        assert len(several.text) < usual + 8000
        option = post(page, content=None, architecture__options="'" * 1000)
        assert option.status_code == 422
        assert len(option.text) < usual + 9000, "once where it was put in; what is wrong with it quotes its beginning"


def test_a_file_that_is_gone_is_said_to_be_gone(page: TestClient) -> None:
    answer = post(page, content=None, checkpoint_sha256="a" * 64, filename="n.onnx", track="digits")
    assert answer.status_code == 422
    assert "not kept any more" in answer.text
    assert "is here already" not in answer.text


def test_the_same_form_sent_twice_is_one_job(page: TestClient, services: Services) -> None:
    first, second = (post(page, key="k", name="ours") for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    other = post(page, key="k", name="mine")
    assert other.headers["location"] != first.headers["location"]


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("train", '{"epochs": -1}', "epochs: Input should be"),
        ("train", "{", "settings-fault"),
        ("prune", "{}", "choose one first."),
    ],
)
def test_faults_of_other_kinds_say_where(page: TestClient, kind: str, settings: str, words: str) -> None:
    answer = post(page, kind, content=None, settings=settings)
    assert answer.status_code == 422
    assert words in answer.text


def test_what_is_not_finite_is_refused_at_its_field(page: TestClient) -> None:
    answer = post(page, quantizer__weight_stds="nan")
    assert re.findall(r'id="field-quantizer-weight_stds-fault">([^<]+)', answer.text)


def test_the_address_a_form_went_to_leads_back_to_it(page: TestClient) -> None:
    assert page.get("/ui/submit/count").headers["location"] == "/ui/submit?kind=score"


def looks_again(text: str) -> str:
    """Where a page asks what has become of its count."""
    (address,) = re.findall(r'hx-get="([^"]*)"', text)
    return str(address).replace("&amp;", "&")


def test_a_count_says_its_place_while_it_waits_and_what_was_seen_is_not_told_again(
    page: TestClient, services: Services
) -> None:
    post(page, "count", name="first")
    second = post(page, "count", name="second")
    shown = page.get(second.headers["location"]).text
    assert "It waits: place 2 in the queue." in shown
    assert page.get(looks_again(shown)).status_code == 204
    assert services.records.leases.claim("worker", ("short",)) is not None
    moved = page.get(looks_again(shown)).text
    assert "It waits: place 1 in the queue." in moved
    job = services.records.leases.claim("worker", ("short",))
    assert job is not None
    begun = page.get(looks_again(moved)).text
    assert "Counting\N{HORIZONTAL ELLIPSIS}" in begun
    assert page.get(looks_again(begun)).status_code == 204
    services.records.leases.finish(job, Ending(Status.CANCELED))
    assert "Counting was canceled" in page.get(looks_again(begun)).text


@pytest.mark.parametrize("kind", [kind for kind in JOBS if kind != "count"])
def test_a_form_says_where_a_job_may_begin(page: TestClient, kind: str) -> None:
    hint = page.get(f"/ui/submit?kind={kind}").text.partition('id="checkpoint-hint"')[2].partition("</span>")[0]
    settings = {"settings": (None, "{}")}
    if JOBS[kind].file == "optional":
        assert "Without one, a fresh network" in hint
        assert page.post(f"/{kind}", files=settings).status_code == 422
    assert page.post(f"/{kind}", files={"checkpoint": ("net.onnx", NETWORK), **settings}).status_code == 202


def test_an_empty_file_is_said_to_be_one_and_no_file_at_all_is_not(page: TestClient, services: Services) -> None:
    """A field in which no file was chosen is sent with no name."""
    fresh = {"track": "digits", "architecture__name": "digits"}
    for kind in ("train", "score"):
        refused = post(page, kind, content=b"", **fresh)
        assert refused.status_code == 422
        assert re.findall(r'id="checkpoint-fault">([^<]*)', refused.text) == ["the file is empty."]
        assert '<option value="digits" selected>' in refused.text
    assert services.records.jobs.list(Filter(), 10) == ()
    assert post(page, "train", content=None, **fresh).status_code == 303
    assert only_job(services).checkpoint is None


def test_a_job_whose_file_is_gone_is_filled_in_again_and_says_so(page: TestClient, services: Services) -> None:
    post(page, name="ours", track="digits")
    job = only_job(services)
    services.records.jobs.cancel(job.id)
    services.records.blobs.forget_unneeded(days=0, total_bytes=0)
    answer = page.get(f"/ui/submit?from={job.id}")
    assert answer.status_code == 200
    assert re.findall(r'id="checkpoint-fault">([^<]*)', answer.text) == [
        "The file is not kept any more; choose it again."
    ]
    assert ("is here already" in answer.text, 'value="ours"' in answer.text) == (False, True)


def test_no_control_says_that_browsers_are_to_forget_it(page: TestClient) -> None:
    """Some would come back with the page as they were filled, and others not."""
    for kind in JOBS:
        form = page.get(f"/ui/submit?kind={kind}").text.partition("<form")[2]
        assert "autocomplete" not in form
