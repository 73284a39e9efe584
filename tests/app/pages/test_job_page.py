"""The page of a job: what it says while the job waits and runs, and when it has ended."""

import html
import json
import re
from contextlib import closing

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.pages.stored import chosen_of, settings_of
from app.services import Services
from tests.app.http.conftest import called
from tests.app.http.results import score_text
from tests.app.http.sending import NETWORK, accepted
from tests.app.pages.records import ended, failed, scored
from worker.records.database import Database
from worker.records.tables import jobs
from worker.records.values import Artifact, Ending, JobError, Stage, Status, StoredBlob


def test_a_waiting_job_has_a_place_and_looks_again(api: TestClient) -> None:
    accepted(api)
    job = accepted(api)
    text = api.get(job["urls"]["page"]).text
    assert "place 2 in the queue" in text
    assert f'hx-get="/ui/jobs/{job["id"]}/live"' in text
    assert "Cancel" in text


def test_a_running_job_says_how_long_it_will_take(api: TestClient, services: Services) -> None:
    job = accepted(api)
    claimed = services.records.leases.claim("worker-7", ("short",))
    assert claimed is not None
    services.records.leases.beat(claimed, Stage("evaluate", 3, 4, 2500, 10_000, "images", 50.0))
    text = api.get(f"/ui/jobs/{job['id']}/live").text
    assert "Stage 3 of 4" in text
    assert "2,500 of 10,000 images" in text
    assert "50 images a second" in text
    assert "2 min 30 s left" in text, "7,500 images at 50 a second"
    assert 'value="0.25"' in text
    assert "worker-7" in text


def test_when_it_ends_the_live_part_asks_for_the_whole_page(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    assert "hx-refresh" not in api.get(f"/ui/jobs/{job['id']}/live").headers
    scored(services)
    answer = api.get(f"/ui/jobs/{job['id']}/live")
    assert answer.headers["hx-refresh"] == "true"
    assert "hx-get" not in answer.text


def test_a_score_is_taken_apart(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits", "bits": {"param_bits": 9}, "name": "it's ours"}, filename="a b.onnx")
    scored(services, 350, 0.4)
    text = html.unescape(api.get(job["urls"]["page"]).text)
    for words in ("0.400000", "qualifies", "350 of 360", "fc", "linear", "50.0", "90 bits / 32", "All of it as JSON"):
        assert words in text, words
    assert "× 12" not in text, "nor anything else that the result does not say"
    assert "does not say what bits each operation was charged" in text
    assert '<td class="n">–</td>' in text
    assert "micronet score 'a b.onnx' --settings '{\"track\": \"digits\"}' --json" in text


@pytest.mark.parametrize(
    ("yours", "retryable", "words"),
    [
        (True, False, "Yours to mend"),
        (False, True, "may well work the next time"),
        (False, False, "who runs the server"),
    ],
)
def test_a_failure_says_whose_it_is_and_what_to_do(
    api: TestClient, services: Services, yours: bool, retryable: bool, words: str
) -> None:
    job = accepted(api)
    failed(services, yours=yours, retryable=retryable, detail="byte 7 is no header")
    text = api.get(job["urls"]["page"]).text
    assert "byte 7 is no header" in text
    assert words in text
    assert "In stage <strong>read</strong>" in text
    assert 'href="/guide#error-corrupt-file"' in text


@pytest.mark.parametrize("exponents", [True, False])
def test_what_was_charged_is_multiplied_out(api: TestClient, services: Services, exponents: bool) -> None:
    """48 bit-operations are 2 x 8 + 1 x 16 + 2 x 8, or 2 x 8 + 1 x 8 + 2 x 8 and 8 for an exponent; 90 bits are 9 x 10.

    Only a layer that was charged for exponents has the page speak of them.
    """
    job = accepted(api, {"track": "digits"})
    result = json.loads(score_text(350, 0.4))
    multiplications = {"8": 3} if exponents else {"8": 2, "16": 1}
    math = {"multiplications": multiplications, "additions": {"8": 2}} | ({"exponents": {"8": 1}} if exponents else {})
    result["layers"][0]["charged"] = {"math": math, "storage": {"parameters": {"10": 9}}}
    ended(services, Ending(Status.SUCCEEDED, json.dumps(result)))
    text = " ".join(api.get(f"/ui/jobs/{job['id']}").text.split())
    assert ("additions × theirs + exponents)" in text) is ("× / +, exponents" in text) is exponents
    assert "9 parameters stored × 10/32</td>" in text
    assert '<small class="quiet">9&nbsp;×&nbsp;10</small>' in text
    several = "2 multiplications × 8/32 + 1 multiplications × 16/32 + 2 additions × 8/32</td>"
    assert ("3 multiplications × 8/32 + 2 additions × 8/32 + 1 exponents × 8/32</td>" if exponents else several) in text
    assert ('<td class="n">8 / 8 + 8</td>' if exponents else '<td class="n">⌀ 10.666667 / 8</td>') in text


def test_canceling_leads_back_to_the_job(api: TestClient) -> None:
    job = accepted(api)
    api.follow_redirects = False
    answer = api.post(f"/ui/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/jobs/{job['id']}")
    assert "canceled" in api.get(f"/ui/jobs/{job['id']}").text


def test_a_job_that_has_ended_can_be_taken_back_and_asks_once_more(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    where = f"/ui/jobs/{job['id']}"
    button = f'<form method="post" action="{where}/delete">'
    assert button not in api.get(where).text
    assert api.post(f"{where}/delete").status_code == 409
    scored(services)
    text = api.get(where).text
    (details,) = re.findall(r"<details><summary>Delete this job</summary>(.*?)</details>", text, re.DOTALL)
    assert button in details
    assert "its entry on the leaderboard" in details
    api.follow_redirects = False
    answer = api.post(f"{where}/delete")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/jobs")
    for gone in (where, f"/ui/entries/{job['id']}"):
        assert api.get(gone).status_code == 404
    assert api.post(f"{where}/delete").status_code == 404
    assert job["id"] not in api.get("/ui/jobs").text


def test_a_page_whose_job_is_deleted_meanwhile_is_fetched_again_and_says_so(
    api: TestClient, services: Services
) -> None:
    job = accepted(api)
    services.records.jobs.cancel(job["id"])
    services.records.jobs.delete(job["id"], "")
    answer = api.get(f"/ui/jobs/{job['id']}/live")
    assert (answer.status_code, answer.headers["hx-refresh"]) == (404, "true")
    assert "there is no job" in api.get(f"/ui/jobs/{job['id']}").text


def test_two_scores_side_by_side(api: TestClient, services: Services) -> None:
    ids = []
    for points in (0.4, 0.3):
        ids.append(accepted(api, {"track": "digits", "name": f"at {points}"})["id"])
        scored(services, 350, points)
    text = api.get(f"/ui/compare?a={ids[0]}&b={ids[1]}").text
    assert "\N{MINUS SIGN}0.100000" in text
    assert text.count("<svg") == 2
    choice = api.get(f"/ui/compare?a={ids[0]}").text
    assert f'name="a" value="{ids[0]}"' in choice
    assert f'<option value="{ids[1]}">' in choice


def test_what_cannot_be_compared_leaves_the_form_as_it_was(api: TestClient, services: Services) -> None:
    scored_id = accepted(api, {"track": "digits"})["id"]
    scored(services)
    waiting = accepted(api, {"track": "digits"})["id"]
    for other, status, words in (
        (waiting, 422, "is no score"),
        ("7", 404, "no job"),
        ("0" * 32, 404, "there is no job"),
    ):
        answer = api.get(f"/ui/compare?a={scored_id}&b={other}")
        assert answer.status_code == status
        assert words in html.unescape(answer.text)
        assert f'name="a" value="{scored_id}"' in answer.text
        assert f'name="b" value="{other}"' in answer.text
        assert re.findall(r'<input id="(\w)"[^>]* aria-invalid="true"', answer.text) == ["b"]
        assert f'<option value="{scored_id}">' in answer.text


def test_a_file_that_is_gone_is_no_link_and_where_it_was_is_a_page(api: TestClient, services: Services) -> None:
    job = accepted(api, kind="fuse")
    kept = services.records.blobs.find(job["checkpoint"]["sha256"], "")
    assert kept is not None
    made = services.records.blobs.add(StoredBlob("b" * 64, 4, "bb/1"), "")
    files = (Artifact(name="fused.onnx", sha256=made.sha256, size=4),)
    ended(services, Ending(Status.SUCCEEDED, artifacts=files))
    both = api.get(job["urls"]["page"]).text
    assert f'<a href="/ui/files/{kept.sha256}?filename=net.onnx">net.onnx</a>' in both
    assert f'<a href="/ui/files/{made.sha256}?filename=fused.onnx">fused.onnx</a>' in both
    assert api.get(f"/ui/files/{kept.sha256}?filename=net.onnx").content == NETWORK
    assert services.records.blobs.forget_unneeded(days=0, total_bytes=0)
    neither = api.get(job["urls"]["page"]).text
    assert "/ui/files/" not in neither
    assert neither.count("(no longer kept)") == 2
    for sha256, status, words in (("b" * 64, 410, "not kept any more"), ("c" * 64, 404, "no file"), ("x", 422, "64")):
        answer = api.get(f"/ui/files/{sha256}")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert words in answer.text


def test_files_that_a_job_had_finished_before_it_failed_are_links(api: TestClient, services: Services) -> None:
    job = accepted(api, kind="fuse")
    made = services.records.blobs.add(StoredBlob("b" * 64, 4, "bb/1"), "")
    error = JobError(code="numerical-error", title="x", detail="the loss is nan")
    files = (Artifact(name="1-train.onnx", sha256=made.sha256, size=4),)
    ended(services, Ending(Status.FAILED, error=error, artifacts=files))
    page = api.get(job["urls"]["page"]).text
    assert f'<a href="/ui/files/{made.sha256}?filename=1-train.onnx">1-train.onnx</a>' in page


def test_a_result_of_another_version_is_shown_as_far_as_it_can_be(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    newer = json.dumps(json.loads(score_text(350, 0.4)) | {"luck": 7})
    claimed = services.records.leases.claim("worker", ("short",))
    assert claimed is not None
    with closing(Database(services.settings.database)) as database:
        changes = {"status": "succeeded", "result": newer, "settings": '{"luck": 7}', "kind": "score"}
        database.write(lambda connection: connection.execute(update(jobs).values(**changes)))
    for page in (job["urls"]["page"], f"{job['urls']['page']}/live", f"/ui/submit?from={job['id']}"):
        assert api.get(page).status_code == 200, page
    assert "Another version of this program" in api.get(job["urls"]["page"]).text
    assert api.get(f"/ui/compare?a={job['id']}&b={job['id']}").status_code == 422
    with closing(Database(services.settings.database)) as database:
        database.write(lambda connection: connection.execute(update(jobs).values(kind="count")))
    for page in (f"/ui/submit?from={job['id']}", f"/ui/submit/counted/{job['id']}"):
        answer = api.get(page)
        assert answer.status_code == 200, page
        assert "Another version of this program" in answer.text
        assert f'href="/jobs/{job["id"]}"' in answer.text
    with closing(Database(services.settings.database)) as database:
        database.write(lambda connection: connection.execute(update(jobs).values(kind="luck")))
    assert api.get(job["urls"]["page"]).status_code == 200
    assert api.get(f"/ui/submit?from={job['id']}").status_code == 422


@pytest.mark.parametrize("settings", ['{"bits": {"param_bits": "one"}}', '{"gone": 1, "bits": {"add_bits": 24}}'])
def test_settings_of_another_version_take_nothing_from_the_score(
    api: TestClient, services: Services, settings: str
) -> None:
    job = accepted(api, {"track": "digits"})
    scored(services, 350, 0.4)
    with closing(Database(services.settings.database)) as database:
        changes = {"settings": settings}
        database.write(lambda connection: connection.execute(update(jobs).values(**changes)))
    answer = api.get(job["urls"]["page"])
    assert answer.status_code == 200
    assert "0.400000" in answer.text


def test_the_command_line_means_the_very_settings(api: TestClient, services: Services) -> None:
    for settings in ({"recipe": "digits", "track": "cifar100"}, {"recipe": "report", "floor": None}):
        answer = api.post("/pipeline", files={"settings": (None, json.dumps(settings))})
        job = services.records.jobs.read(answer.json()["id"])
        stored = settings_of(job)
        assert stored is not None
        again = type(stored).model_validate_json(json.dumps(chosen_of(stored)))
        assert again == stored
        assert chosen_of(stored).keys() == settings.keys()


def test_files_that_look_like_options_are_none(api: TestClient) -> None:
    job = accepted(api, {"track": "digits"}, filename="--x.onnx")
    assert "micronet score ./--x.onnx" in api.get(job["urls"]["page"]).text


def test_a_part_that_looks_again_without_a_token_sends_the_whole_page_to_sign_in(services: Services) -> None:
    with called(services, open_access=False) as client:
        headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/ui/jobs/1?x=2"}
        answer = client.get("/ui/jobs/" + "0" * 32 + "/live", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["hx-redirect"] == "/ui/sign-in?next=%2Fui%2Fjobs%2F1%3Fx%3D2"
