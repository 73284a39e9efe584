"""Cookies, of browsers and of others."""

import time

import pytest

from app.http.access import COOKIE
from app.http.cookies import with_one_cookie
from app.services import Services
from tests.app.http.conftest import called
from tests.app.http.sending import problem

QUOTES = '"' + '\\"' * 30_000 + '"'


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ([], []),
        ([b""], []),
        ([b"name=a"], [b"name=a"]),
        ([b"other=b; name=a"], [b"name=a"]),
        ([b"name = a ;other=b"], [b"name=a"]),
        ([b"names=b; xname=c", b"name=mn_-9"], [b"name=mn_-9"]),
        ([b"name=a; name=b", b"name=c"], [b"name=a"]),
        ([b";;=;name=a;;"], [b"name=a"]),
        ([b"name"], []),
        ([b"name="], []),
        ([b"name=a=b"], []),
        ([b'name="a"'], []),
        ([b"name=" + b"a" * 201], []),
        ([b"name=" + QUOTES.encode()], []),
        ([b"\xff=\xfe; name=\xff"], []),
    ],
)
def test_one_cookie_is_left_where_it_is_plain(sent: list[bytes], left: list[bytes]) -> None:
    headers = [(b"host", b"a"), *((b"cookie", line) for line in sent), (b"x", b"y")]
    assert with_one_cookie(headers, b"name") == [(b"host", b"a"), (b"x", b"y"), *((b"cookie", line) for line in left)]


@pytest.mark.parametrize("where", ["/jobs", "/ui/sign-in"])
@pytest.mark.parametrize(
    "sent", [f"{COOKIE}={QUOTES}", f"other={QUOTES}", "a=b;" * 15_000], ids=["ours", "other", "many"]
)
def test_no_cookie_takes_long_to_read(services: Services, where: str, sent: str) -> None:
    with called(services, open_access=False) as client:
        client.get("/health/live")
        began = time.monotonic()
        answer = client.get(where, headers={"Cookie": sent})
        assert time.monotonic() - began < 2
    if where == "/jobs":
        problem(answer, 401, "token-required")
    else:
        assert answer.status_code == 200
