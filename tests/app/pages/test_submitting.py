"""The form: what it queues, what it says is wrong and where, and that nothing put into it is lost."""

import re
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.pages import score_form
from app.services import Services
from tests.app.http.conftest import stored_files

NETWORK = b"not a network, but nobody looks here"


@pytest.fixture
def page(api: TestClient) -> TestClient:
    api.follow_redirects = False
    return api


def post(page: TestClient, kind: str = "score", content: bytes | None = NETWORK, **fields: str) -> httpx.Response:
    """The form as a browser sends it; without content, the field for the file is empty."""
    parts: dict[str, Any] = {name.replace("__", "/"): (None, text) for name, text in fields.items()}
    file = ("", b"", "application/octet-stream") if content is None else ("net.onnx", content)
    return page.post(f"/ui/submit/{kind}", files={"checkpoint": file, **parts})


def _only_job(services: Services) -> Any:
    (job,) = services.records.jobs.list(_everything(), 10)
    return job


def _everything() -> Any:
    from worker.records.jobs import Filter

    return Filter()


def test_a_filled_form_is_a_job(page: TestClient, services: Services) -> None:
    answer = post(
        page, **{"name": "ours", "quantize": "on", "bits__param_bits": "7", "track": "digits", "evaluate": "on"}
    )
    job = _only_job(services)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/jobs/{job.id}")
    assert (job.kind, job.name, job.checkpoint.filename) == ("score", "ours", "net.onnx")
    assert '"param_bits":7' in job.settings


def test_counting_comes_back_to_the_form_as_it_was(page: TestClient, services: Services) -> None:
    answer = post(page, "count", name="ours", policy="challenge")
    job = _only_job(services)
    assert answer.headers["location"] == f"/ui/submit?from={job.id}"
    again = page.get(answer.headers["location"]).text
    assert 'value="ours"' in again
    assert '<option value="challenge" selected>' in again
    assert f'name="checkpoint_sha256" value="{job.checkpoint.sha256}"' in again
    assert "net.onnx is here already" in again
    assert f'hx-get="/ui/submit/counted/{job.id}"' in again


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"quantize": "on", "bits__param_bits": "33"}, "bits/param_bits", "32"),
        ({"quantize": "on", "bits__mul_bits": "twelve"}, "bits/mul_bits", "integer"),
        ({"track": "mine"}, "track", "mine"),
        ({"architecture__name": "resnet51"}, "architecture/name", "resnet51"),
        ({"architecture__name": "pyramidnet", "architecture__options": "depth=9"}, "architecture/options", "depth"),
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
    field = score_form.fields()[where]
    (said,) = re.findall(rf'id="{field.id}-fault">([^<]*)', answer.text)
    assert words in said
    assert f'href="#{field.id}"' in answer.text
    (sha256,) = re.findall(r'name="checkpoint_sha256" value="(\w+)"', answer.text)
    assert len(stored_files(services)) == 1
    mended = post(page, content=None, checkpoint_sha256=sha256, filename="net.onnx", track="digits")
    assert mended.status_code == 303, mended.text
    assert _only_job(services).checkpoint.filename == "net.onnx"


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
    newest = services.records.jobs.list(_everything(), 1)[0]
    assert newest.checkpoint is not None
    assert newest.checkpoint.sha256 != sha256


def test_other_kinds_take_their_settings_as_json(page: TestClient, services: Services) -> None:
    answer = post(page, "pipeline", content=None, settings='{"recipe": "digits"}')
    job = _only_job(services)
    assert (answer.status_code, job.kind) == (303, "pipeline")
    wrong = post(page, "train", content=None, settings='{"epochs": -1}')
    assert wrong.status_code == 422
    assert "{&#34;epochs&#34;: -1}" in wrong.text
    assert page.get(f"/ui/submit?from={job.id}").text.count("&#34;recipe&#34;") == 1


def test_fields_that_are_none_of_the_form_are_refused(page: TestClient) -> None:
    assert post(page, kind="score", luck="1").status_code == 422
    assert post(page, kind="luck").status_code == 422
