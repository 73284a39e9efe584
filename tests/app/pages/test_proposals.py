"""The form of a score proposes what suits the leaderboard: what stands there and what is sent by default compare."""

import re

import pytest
from fastapi.testclient import TestClient

from app.services import Services
from tests.app.http.sending import accepted
from tests.app.pages.controls import sent_as_shown, shown_in
from tests.app.pages.records import scored


def proposed(page: TestClient, address: str) -> tuple[str, bool]:
    """The policy that a form says, and whether it quantizes."""
    sent = shown_in(page.get(address).text).sent
    return sent["policy"], "quantize" in sent


def opens_with(page: TestClient, track: str) -> str:
    """The policy that the board of a track shows unless it is asked for another."""
    text = page.get(f"/?track={track}").text.partition('id="policy"')[2]
    return str(re.findall("<option selected>([^<]*)<", text)[0])


def test_the_form_proposes_the_policy_that_the_board_opens_with(api: TestClient, services: Services) -> None:
    assert (opens_with(api, "cifar100"), proposed(api, "/ui/submit")) == ("challenge", ("challenge", False))
    accepted(api, {"track": "digits"})
    scored(services)
    assert (opens_with(api, "digits"), proposed(api, "/ui/submit?track=digits")) == ("report", ("report", True))
    assert proposed(api, "/ui/submit") == ("challenge", False), "of the track of the form as it comes"


@pytest.mark.parametrize(
    ("view", "form"),
    [
        ("policy=challenge", ("challenge", False)),
        ("policy=report", ("report", True)),
        ("policy=both", ("report", True)),
    ],
)
def test_from_a_view_of_the_board_the_form_is_for_that_board(
    api: TestClient, services: Services, view: str, form: tuple[str, bool]
) -> None:
    accepted(api, {"track": "digits"})
    scored(services)
    (address,) = re.findall('class="button" href="(/ui/submit[^"]*)"', api.get(f"/?track=digits&{view}").text)
    address = address.replace("&amp;", "&")
    assert shown_in(api.get(address).text).sent["track"] == "digits"
    assert proposed(api, address) == form


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("bits/param_bits=6", ("report", True)),
        ("policy=challenge&quantize=on", ("challenge", True)),
        ("policy=report&quantize=", ("report", False)),
        ("policy=", ("challenge", False)),
        ("policy=challenge&settings=%7B%7D", ("challenge", True)),
        ("kind=count", ("challenge", False)),
    ],
)
def test_what_an_address_says_holds(api: TestClient, address: str, form: tuple[str, bool]) -> None:
    assert proposed(api, f"/ui/submit?{address}") == form


def test_a_job_is_filled_in_again_as_it_was(api: TestClient) -> None:
    job = accepted(api, {"policy": "report", "bits": {"param_bits": 6}})
    assert sent_as_shown(api, f"/ui/submit?from={job['id']}")["settings"] == job["settings"]


def test_other_kinds_have_their_own_defaults(api: TestClient) -> None:
    assert shown_in(api.get("/ui/submit?kind=pipeline").text).sent["policy"] == ""
