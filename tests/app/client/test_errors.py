"""Errors of a client: a class has its words once, and what is made of another keeps that one's."""

import httpx
import pytest

from app.client import Later, ServerError
from app.client.errors import Damaged, JobCanceled, Lost, NoMicronet, Refused, Unreachable, Unsendable
from tests.app.unreliable import answering


@pytest.mark.parametrize("kind", [Unreachable, Unsendable, NoMicronet, Refused, Damaged, JobCanceled])
def test_an_error_has_the_words_of_its_class(kind: type[ServerError]) -> None:
    error = kind("why")
    assert (str(error), error.code, error.title, error.yours) == ("why", kind.code, kind.title, kind.yours)


def test_what_the_server_says_is_of_one_error_and_not_of_its_class() -> None:
    before = (ServerError.code, ServerError.title, ServerError.yours)
    said = ServerError("why", code="c", title="t", yours=False)
    assert (said.code, said.title, said.yours) == ("c", "t", False)
    assert (ServerError.code, ServerError.title, ServerError.yours) == before


@pytest.mark.parametrize("kind", [ServerError, Later, Lost])
def test_what_is_made_of_another_keeps_its_words(kind: type[ServerError]) -> None:
    gone = kind.of(Unreachable("nobody listens"))
    assert (type(gone), str(gone), gone.code, gone.yours) == (kind, "nobody listens", "unreachable", False)
    assert str(kind.of(gone, "nobody listens; wait")) == "nobody listens; wait"


@pytest.mark.parametrize(
    ("status", "kind", "yours"),
    [(404, Refused, True), (500, Refused, False), (429, Later, True), (503, Later, False), (502, Lost, False)],
)
def test_a_refusal_in_foreign_words_names_who_answered(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[ServerError], yours: bool
) -> None:
    """What may pass is asked for again until patience ends, and says the same in the end."""
    given = [httpx.Response(status, html="<h1>no</h1>")]
    with answering(monkeypatch, given, patience=0) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert (type(raised.value), raised.value.code, raised.value.yours) == (kind, "server", yours)
    assert (raised.value.title, str(raised.value)) == (
        Refused.title,
        f"http://server/jobs/1 answered {status}: <h1>no</h1>",
    )
