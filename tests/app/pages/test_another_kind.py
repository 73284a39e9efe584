"""The way from the form of one kind to that of another, and what an address fills in: all that both have goes along."""

import json

from fastapi.testclient import TestClient

from app.pages.forms import form_of
from app.services import Services
from micronet.jobs import JOBS
from tests.app.http.conftest import MakeServices, called
from tests.app.pages.controls import Controls, shown_in
from tests.app.pages.posting import POLICY, only_job, post


def other_kind(page: TestClient, kind: str, other: str, **fields: str) -> Controls:
    """The form of another kind, to which somebody went from a form that was filled so."""
    given = {**form_of(kind).comes, "key": "k", **{name.replace("__", "/"): text for name, text in fields.items()}}
    answer = page.post(f"/ui/submit/{kind}/as/{other}", data=given, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return shown_in(answer.text)


def test_another_kind_is_filled_with_what_both_have(page: TestClient, services: Services) -> None:
    post(page)
    kept = only_job(services).checkpoint
    file = {"checkpoint_sha256": kept.sha256, "filename": "net.onnx"}
    filled = {"name": "a & b", "track": "digits", "bits__param_bits": "7", "policy": "challenge", "holdout": "0.2"}
    shown = other_kind(page, "score", "quantize", **file, **filled)
    assert shown.action == "/ui/submit/quantize"
    usual = form_of("quantize").comes
    expected = {"name": "a & b", "track": "digits", "bits/param_bits": "7", **file}
    assert {
        name: text for name, text in shown.sent.items() if text != usual.get(name, "") and name != "key"
    } == expected
    assert shown.sent["bits/mul_bits"] == usual["bits/mul_bits"]
    assert shown.sent["key"] != "k"


def test_what_is_off_or_in_json_goes_along_where_the_other_kind_has_it(page: TestClient) -> None:
    told = json.dumps({"augmentation": {"policy": POLICY}, "stages": [], "folds": 2, "seed": 9})
    shown = other_kind(page, "augment", "train", settings=told, epochs="7", flip="", **{"augmentation__flip": ""})
    assert (shown.sent["epochs"], "augmentation/flip" in shown.sent) == ("7", False)
    assert json.loads(shown.sent["settings"]) == {"augmentation": {"policy": POLICY}, "seed": 9}
    assert other_kind(page, "augment", "fuse", settings=told).sent["settings"] == ""
    assert other_kind(page, "augment", "fuse", settings="{").sent["settings"] == "{", "to be mended"


def test_what_is_too_long_for_an_address_goes_along_all_the_same(page: TestClient) -> None:
    layers = {"layers": {f"layer{number}": {"param_bits": 7} for number in range(400)}}
    shown = other_kind(page, "quantize", "train", name="n" * 200, architecture__options="depth=1\n" * 600)
    assert (shown.action, shown.sent["name"]) == ("/ui/submit/train", "n" * 200)
    assert shown.sent["architecture/options"] == "depth=1\n" * 600
    assert other_kind(page, "quantize", "train", settings=json.dumps(layers)).sent["settings"] == ""


def test_the_way_to_another_kind_leads_to_its_form_when_it_is_only_looked_at(page: TestClient) -> None:
    assert page.get("/ui/submit/score/as/train").headers["location"] == "/ui/submit?kind=train"
    assert page.post("/ui/submit/score/as/luck", data={}).status_code == 422


def test_no_more_fields_are_read_than_a_form_has_and_no_more_text_than_a_form_may_be(
    page: TestClient, make_services: MakeServices
) -> None:
    assert all(len(form_of(kind).names) < 300 for kind in JOBS)
    urlencoded = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}
    many = page.post("/ui/submit/score/as/train", content=b"%ff=%ff&" * 300, headers=urlencoded)
    assert (many.status_code, "more than 300 fields came" in many.text) == (422, True)
    with called(make_services(form_bytes=1024)) as small:
        small.follow_redirects = False
        for text, status in ((b"%0A" * 1000, 303), (b"x" * 1025, 413), (b"x" * 3100, 413)):
            sent = small.post("/ui/submit/score/as/train", content=b"name=" + text, headers=urlencoded)
            assert sent.status_code == status, text[:3]


def test_an_address_says_what_is_in_the_fields(page: TestClient, services: Services) -> None:
    post(page, **{"name": "ours", "quantize": "on", "bits__param_bits": "7", "track": "digits"})
    job = only_job(services)
    address = f"/ui/submit?from={job.id}&quantize=&quantizer/rule=mse&luck=1"
    shown = shown_in(page.get(address).text).sent
    assert (shown["name"], shown["quantizer/rule"], "quantize" in shown, "luck" in shown) == (
        "ours",
        "mse",
        False,
        False,
    )
    gone = page.get("/ui/submit?kind=train&checkpoint_sha256=" + "a" * 64)
    assert (gone.status_code, "checkpoint_sha256" in gone.text, "not kept any more" in gone.text) == (200, False, True)


def test_what_names_no_file_is_not_kept_whatever_the_database(any_api: TestClient) -> None:
    for text in ("\0", "a\0b", "é" * 64, "A" * 64, "a" * 64 + "\n", "a" * 65):
        filled = {"checkpoint_sha256": text, "name": "x" * 5000}  # too long for an address
        for answer in (
            any_api.get("/ui/submit", params={"kind": "score", "checkpoint_sha256": text}),
            any_api.post("/ui/submit/score/as/train", data=filled),
        ):
            assert answer.status_code == 200, repr(text)
            said = ("not kept any more" in answer.text, "checkpoint_sha256" in answer.text)
            assert said == (True, False), repr(text)


def test_what_an_address_puts_into_fields_is_text_and_nothing_else(page: TestClient) -> None:
    attack = '"><script>alert(1)</script>'
    query = dict.fromkeys(("name", "track", "architecture/options", "settings", "filename"), attack)
    answer = page.get("/ui/submit", params={"kind": "train", **query})
    assert (answer.status_code, "<script>alert" in answer.text) == (200, False)
    shown = shown_in(answer.text).sent
    assert {shown[name] for name in ("name", "track", "architecture/options", "settings")} == {attack}
