"""A form comes in: it is a job, or nothing of it stays."""

import hashlib
import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.http.schemas import JobView
from app.http.submissions import clean_filename
from app.services import Services
from micronet.contract import ScoreSettings
from micronet.contract.training import MOST_LISTS
from micronet.jobs import JOBS
from tests.app.http.conftest import MakeServices, called, stored_files
from tests.app.http.sending import NETWORK, accepted, pointers, problem, send
from worker.doorbell import SilentBell

KEYS = [
    "id",
    "kind",
    "status",
    "stage",
    "progress",
    "queue_position",
    "attempt",
    "created_at",
    "started_at",
    "finished_at",
    "settings",
    "checkpoint",
    "team",
    "name",
    "result",
    "error",
    "artifacts",
    "urls",
]


def test_a_form_becomes_a_job(any_api: TestClient, any_services: Services) -> None:
    answer = send(any_api, {"seed": 7, "team": "blue", "name": "tiny"})
    assert answer.status_code == 202
    job = answer.json()
    assert list(job) == KEYS
    JobView.model_validate(job)
    assert answer.headers["location"] == job["urls"]["self"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["queue_position"], job["attempt"]) == ("score", "queued", 1, 0)
    assert (job["team"], job["name"]) == ("blue", "tiny")
    sha256 = hashlib.sha256(NETWORK).hexdigest()
    assert job["checkpoint"] == {"sha256": sha256, "size": len(NETWORK), "filename": "net.onnx"}
    assert job["settings"] == ScoreSettings(seed=7, team="blue", name="tiny").model_dump(mode="json")
    assert any_api.get(answer.headers["location"]).text == answer.text
    assert isinstance(any_services.bell, SilentBell)
    assert any_services.bell.rung == [(job["id"], "short")]
    assert [path.read_bytes() for path in stored_files(any_services)] == [NETWORK]


@pytest.mark.parametrize("kind", JOBS)
def test_every_kind_takes_a_form(api: TestClient, kind: str) -> None:
    job = accepted(api, kind=kind)
    assert job["kind"] == kind
    assert job["settings"] == JOBS[kind].settings().model_dump(mode="json")


def test_a_file_that_is_here_can_be_given_a_name(any_api: TestClient) -> None:
    sha256 = accepted(any_api)["checkpoint"]["sha256"]

    def named(filename: str, *fields: str) -> httpx.Response:
        known = {"checkpoint_sha256": (None, sha256), "filename": (None, filename), "checkpoint": ("f", NETWORK)}
        return any_api.post("/train", files=[(name, known[name]) for name in fields])

    for filename, kept in (
        ("net.onnx", "net.onnx"),
        ("../../é\x07.pth", "é.pth"),
        ("\x00", None),
        ("x" * 255, "x" * 255),
    ):
        for fields in (("filename", "checkpoint_sha256"), ("checkpoint_sha256", "filename")):
            answer = named(filename, *fields)
            assert answer.status_code == 202, answer.text
            assert answer.json()["checkpoint"]["filename"] == kept
    for fields in (("filename", "checkpoint"), ("checkpoint", "filename"), ("filename",)):
        content = problem(named("net.onnx", *fields), 422, "invalid-request")
        assert "goes with checkpoint_sha256" in content["detail"]
    for wrong in ("", "x" * 256):
        content = problem(named(wrong, "checkpoint_sha256", "filename"), 422, "invalid-request")
        assert pointers(content) == ["/filename"]


def test_the_lane_depends_on_the_settings(any_api: TestClient, any_services: Services) -> None:
    short, long = (accepted(any_api, {"train": train}, kind="quantize") for train in (None, {"epochs": 1}))
    assert isinstance(any_services.bell, SilentBell)
    assert any_services.bell.rung == [(short["id"], "short"), (long["id"], "long")]


def test_a_teacher_is_checked_like_the_network_itself(api: TestClient) -> None:
    for architecture, place in (
        ({"name": "nothing"}, "name"),
        ({"name": "digits", "options": {"width": {}}}, "options"),
    ):
        distillation = {"teacher": "0" * 64, "architecture": architecture}
        for kind, settings, pointer in (
            ("train", {"distillation": distillation}, "/settings/distillation/architecture/"),
            ("quantize", {"train": {"distillation": distillation}}, "/settings/train/distillation/architecture/"),
        ):
            answer = send(api, settings, kind=kind)
            assert answer.status_code == 422
            assert pointers(answer.json()) == [pointer + place]


def test_a_file_that_is_here_is_named_by_its_hash(any_api: TestClient, any_services: Services) -> None:
    first = accepted(any_api)
    form = {"checkpoint_sha256": (None, first["checkpoint"]["sha256"])}
    second = any_api.post("/fuse", files=form).json()
    assert second["checkpoint"] == {**first["checkpoint"], "filename": None}
    assert len(stored_files(any_services)) == 1


def test_the_same_content_is_kept_once(any_api: TestClient, any_services: Services) -> None:
    jobs = [accepted(any_api, filename=f"{number}.onnx") for number in range(3)]
    assert len({job["id"] for job in jobs}) == 3
    assert len(stored_files(any_services)) == 1


def test_settings_may_come_first_or_not_at_all(api: TestClient) -> None:
    parts = {"settings": (None, '{"seed": 3}'), "checkpoint": ("a.onnx", NETWORK)}
    assert api.post("/score", files=parts).json()["settings"]["seed"] == 3
    assert api.post("/score", files={"checkpoint": NETWORK}).json()["settings"]["seed"] == 0


HOSTILE_SETTINGS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "/settings"),
    "no JSON": ("{", "/settings"),
    "not an object": ("[]", "/settings"),
    "not UTF-8": (b'{"name": "\xff"}', "/settings"),
    "nested 10,000 deep": ("[" * 10_000 + "]" * 10_000, "/settings"),
    "options nested 10,000 deep": (
        '{"architecture": {"name": "digits", "options": ' + '{"a":' * 10_000 + "1" + "}" * 10_002,
        "/settings",
    ),
    "NaN": ('{"seed": NaN}', "/settings"),
    "infinity": ('{"quantizer": {"weight_stds": 1e999}}', "/settings"),
    "a key twice": ('{"seed": 1, "seed": 2}', "/settings"),
    "an integer of 5,000 digits": ('{"seed": ' + "9" * 5000 + "}", "/settings"),
    "a seed that is too large": ('{"seed": 9223372036854775808}', "/settings/seed"),
    "a number as a string": ('{"seed": "3"}', "/settings/seed"),
    "a boolean as a number": ('{"evaluate": 1}', "/settings/evaluate"),
    "0 bits": ('{"bits": {"param_bits": 0}}', "/settings/bits/param_bits"),
    "-1 bits": ('{"bits": {"param_bits": -1}}', "/settings/bits/param_bits"),
    "33 bits": ('{"bits": {"mul_bits": 33}}', "/settings/bits/mul_bits"),
    "1e9 bits": ('{"bits": {"add_bits": 1e9}}', "/settings/bits/add_bits"),
    "an unknown key": ('{"sed": 3}', "/settings/sed"),
    "an unknown key with slashes": ('{"a/b~c": 3}', "/settings/a~1b~0c"),
    "an unknown track": ('{"track": "cifar1000"}', "/settings/track"),
    "an unknown architecture": ('{"architecture": {"name": "vgg"}}', "/settings/architecture/name"),
    "10^9 channels": (
        '{"architecture": {"name": "digits", "options": {"width": 1000000000}}}',
        "/settings/architecture/options",
    ),
    "a name with NUL": ('{"name": "a\\u0000b"}', "/settings/name"),
    "a name with a line feed": ('{"name": "a\\nb"}', "/settings/name"),
    "a name that turns text round": ('{"name": "a\\u202eb"}', "/settings/name"),
    "a name with half a character": ('{"name": "\\ud800"}', "/settings"),
    "a name of nothing but spaces": ('{"name": " \u00a0\u3000"}', "/settings/name"),
    "a team of nothing to be seen": ('{"team": " \\u200b"}', "/settings/team"),
    "a team of 300 characters": (json.dumps({"team": "x" * 300}), "/settings/team"),
    "a name of 500,000 characters": (json.dumps({"name": "x" * 500_000}), "/settings/name"),
    "100,000 values": (json.dumps({"name": [[1]] * 100_000}), "/settings"),
    "10,000 lists in lists": (json.dumps({"name": [[[[[]]]]] * 10_000}), "/settings"),
    "2,000 keys": (json.dumps(dict.fromkeys(map(str, range(2000)))), "/settings"),
}


@pytest.mark.parametrize("name", HOSTILE_SETTINGS)
def test_hostile_settings_are_refused_by_name(api: TestClient, services: Services, name: str) -> None:
    text, pointer = HOSTILE_SETTINGS[name]
    content = problem(send(api, text), 422, "invalid-settings")
    assert pointers(content) == [pointer]
    assert len(json.dumps(content)) < 5000
    assert stored_files(services) == []
    assert api.get("/jobs").json() == {"jobs": [], "next": None}


@pytest.mark.parametrize(
    ("kind", "settings", "pointer", "words"),
    [
        ("score", '{"name": "  "}', "/settings/name", "at least one visible character, and no control characters"),
        (
            "score",
            '{"team": "a\\u0000"}',
            "/settings/team",
            "at least one visible character, and no control characters",
        ),
        ("score", '{"bitts": null}', "/settings/bitts", "no such setting; did you mean bits?"),
        ("score", '{"bits": {"parm_bits": 9}}', "/settings/bits/parm_bits", "did you mean param_bits?"),
        (
            "score",
            '{"bits": {"{luck}": 9}}',
            "/settings/bits/{luck}",
            "no such setting; there are add_bits, exponent_bits, mul_bits, param_bits",
        ),
        (
            "pipeline",
            '{"stages": [{"stage": "train", "epochz": 1}]}',
            "/settings/stages/0/train/epochz",
            "did you mean epochs?",
        ),
        ("train", '{"distillation": {"teacher": "x"}}', "/settings/distillation/teacher", "64 hexadecimal digits"),
    ],
)
def test_what_is_wrong_is_said_in_words_of_people(
    api: TestClient, kind: str, settings: str, pointer: str, words: str
) -> None:
    content = problem(send(api, settings, kind=kind), 422, "invalid-settings")
    (fault,) = [fault for fault in content["errors"] if fault["pointer"] == pointer]
    assert words in fault["detail"]
    assert "\\x" not in json.dumps(content), "nothing of a regular expression"


def test_faults_beside_a_setting_nobody_knows_keep_their_places_and_words(api: TestClient) -> None:
    settings = '{"sed": 1, "seed": -1, "bits": {"mul_bits": 99}, "track": ""}'
    content = problem(send(api, settings), 422, "invalid-settings")
    found = {fault["pointer"]: fault["detail"] for fault in content["errors"]}
    assert found == {
        "/settings/track": "String should have at least 1 character",
        "/settings/bits/mul_bits": "Input should be less than or equal to 32",
        "/settings/seed": "Input should be greater than or equal to 0",
        "/settings/sed": "no such setting; did you mean seed?",
    }


def test_there_is_room_for_the_longest_policy(api: TestClient) -> None:
    operation = {"operation": "invert", "probability": 0.5, "magnitude": 0.5}
    policy = {"policies": [[operation] * 8] * MOST_LISTS}
    settings = {"architecture": {"name": "digits"}, "track": "digits", "augmentation": {"policy": policy}}
    assert send(api, settings, kind="train").status_code == 202


def test_every_fault_is_named_at_once(api: TestClient) -> None:
    settings = {"seed": -1, "bits": {"param_bits": 1}, "track": "", "policy": "mine"}
    content = problem(send(api, settings), 422, "invalid-settings")
    assert set(pointers(content)) == {
        "/settings/seed",
        "/settings/bits/param_bits",
        "/settings/track",
        "/settings/policy",
    }


FORMS: dict[str, tuple[list[tuple[str, Any]], str]] = {
    "no file": ([("settings", (None, "{}"))], "/checkpoint"),
    "an empty file": ([("checkpoint", ("a.onnx", b""))], "/checkpoint"),
    "two files": ([("checkpoint", ("a", b"1")), ("checkpoint", ("b", b"2"))], "/checkpoint"),
    "settings twice": ([("settings", (None, "{}")), ("settings", (None, "{}"))], "/settings"),
    "a file and a hash": ([("checkpoint", ("a", b"1")), ("checkpoint_sha256", (None, "0" * 64))], "/checkpoint_sha256"),
    "a short hash": ([("checkpoint_sha256", (None, "0" * 63))], "/checkpoint_sha256"),
    "an upper-case hash": ([("checkpoint_sha256", (None, "A" * 64))], "/checkpoint_sha256"),
    "a field nobody knows": ([("checkpoint", ("a", b"1")), ("x/y", (None, "1"))], "/x~1y"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_with_other_fields_are_refused(api: TestClient, services: Services, name: str) -> None:
    parts, pointer = FORMS[name]
    assert pointers(problem(api.post("/score", files=parts), 422, "invalid-request")) == [pointer]
    assert stored_files(services) == []


BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="checkpoint"; filename="f"\r\n\r\n'
MALFORMED = {
    "no closing boundary": PART + b"data",
    "nothing": b"",
    "another boundary": b"--c\r\n\r\n--c--\r\n",
    "a part without a name": b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
    "a part without headers": b"--b\r\n\r\n1\r\n--b--\r\n",
    "a header of 100,000 bytes": b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\n1\r\n--b--\r\n",
    "1,000 headers": b"--b\r\n" + b"X: y\r\n" * 1000 + b"\r\n1\r\n--b--\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_broken_forms_are_refused(api: TestClient, services: Services, name: str) -> None:
    problem(api.post("/score", content=MALFORMED[name], headers=BOUNDARY), 400, "malformed-form")
    assert stored_files(services) == []


def test_other_bodies_are_refused(api: TestClient) -> None:
    problem(api.post("/score", json={"checkpoint_sha256": "0" * 64}), 415, "unsupported-media-type")
    problem(api.post("/score"), 415, "unsupported-media-type")
    problem(api.post("/score", content=b"", headers={"Content-Type": "multipart/form-data"}), 400, "malformed-form")


def test_settings_over_their_limit_are_refused(services: Services, api: TestClient) -> None:
    problem(send(api, " " * (services.settings.form_bytes + 1)), 413, "body-too-large")
    assert stored_files(services) == []


def test_all_fields_but_the_file_have_one_limit_together(make_services: MakeServices) -> None:
    """64 bytes of a hash, and 1,024 in all: 960 are left for settings."""
    services = make_services(form_bytes=1024)
    with called(services) as client:
        sha256 = accepted(client)["checkpoint"]["sha256"]

        def named(spaces: int) -> httpx.Response:
            parts = {"settings": (None, "{}" + " " * spaces), "checkpoint_sha256": (None, sha256)}
            return client.post("/score", files=parts)

        assert named(958).status_code == 202
        content = problem(named(959), 413, "body-too-large")
        assert "1,024" in content["detail"]
        assert send(client, content=b"x" * 2000, settings="{}" + " " * 1022).status_code == 202


def test_a_file_over_the_limit_is_refused(make_services: MakeServices) -> None:
    services = make_services(upload_bytes=1000)
    with called(services) as client:
        assert send(client, content=b"x" * 1000).status_code == 202
        problem(send(client, content=b"y" * 1001), 413, "body-too-large")
    assert len(stored_files(services)) == 1


def test_a_hash_that_is_not_here(any_api: TestClient) -> None:
    form = {"checkpoint_sha256": (None, "0" * 64)}
    problem(any_api.post("/score", files=form), 404, "checkpoint-not-found")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\net.onnx", "net.onnx"),
        ("..", ".."),
        ("a/", None),
        ("", None),
        (None, None),
        ("ne\x00t\r\n.onnx", "net.onnx"),
        ("x" * 1000 + ".onnx", "x" * 250 + ".onnx"),
        ("größe 漢字.onnx", "größe 漢字.onnx"),
    ],
)
def test_of_a_file_name_the_last_part_is_kept(sent: str | None, kept: str | None) -> None:
    assert clean_filename(sent) == kept


def test_a_path_in_a_file_name_leads_nowhere(api: TestClient, services: Services) -> None:
    assert accepted(api, filename="../../../escape.onnx")["checkpoint"]["filename"] == "escape.onnx"
    assert not list(services.settings.home.parent.rglob("escape*"))


def test_the_same_key_is_the_same_job(any_api: TestClient, any_services: Services) -> None:
    key = {"Idempotency-Key": "one"}
    first = accepted(any_api, {"seed": 1}, headers=key)
    assert accepted(any_api, '{"seed":   1}', headers=key)["id"] == first["id"]
    assert accepted(any_api, {"seed": 1})["id"] != first["id"]
    for changed in ({"settings": {"seed": 2}}, {"content": b"other"}, {"filename": "b.onnx"}, {"kind": "quantize"}):
        problem(send(any_api, **({"settings": {"seed": 1}, "headers": key} | changed)), 422, "idempotency-conflict")
    assert len(stored_files(any_services)) == 1


def test_the_same_key_is_the_same_job_when_its_file_is_gone(any_api: TestClient, any_services: Services) -> None:
    sha256, key = accepted(any_api)["checkpoint"]["sha256"], {"Idempotency-Key": "one"}

    def named(seed: int = 1, headers: dict[str, str] = key) -> httpx.Response:
        form = {"checkpoint_sha256": (None, sha256), "settings": (None, json.dumps({"seed": seed}))}
        return any_api.post("/score", files=form, headers=headers)

    first = named().json()
    for job in any_api.get("/jobs").json()["jobs"]:
        any_api.post(job["urls"]["cancel"])
    assert [blob.sha256 for blob in any_services.records.blobs.forget_unneeded(0, 0)] == [sha256]
    again = named()
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (202, first["id"], "canceled")
    problem(named(seed=2), 422, "idempotency-conflict")
    problem(named(headers={"Idempotency-Key": "two"}), 404, "checkpoint-not-found")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\t"])
def test_keys_are_short_and_visible(api: TestClient, key: str) -> None:
    content = problem(send(api, headers={"Idempotency-Key": key}), 422, "invalid-request")
    assert content["errors"][0]["parameter"] == "Idempotency-Key"
