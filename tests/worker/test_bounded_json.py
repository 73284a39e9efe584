"""JSON within bounds: what is no JSON, or too much of it, is refused before anything is made of it."""

import json

import pytest

from worker.bounded_json import JsonBounds, JsonRefused, parse

BOUNDS = JsonBounds(values=100, keys=10)


@pytest.mark.parametrize(
    "value", [None, True, -1, 0.5, "text", "[{,", [], {}, [1, [2, {"a": [3]}]], {"a": {"a": "a"}}, {"é": "\U0001f600"}]
)
def test_what_json_says_is_what_is_read(value: object) -> None:
    assert parse(json.dumps(value).encode(), BOUNDS) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode(), BOUNDS) == value


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"[NaN]", "no number"),
        (b"[-Infinity]", "no number"),
        (b"[1e999]", "too large"),
        (b"9" * 5000, "not JSON"),
        (b'{"a": 1, "a": 1}', "'a' comes twice"),
        (json.dumps(dict.fromkeys(map(str, range(11)))).encode(), "11 keys"),
        (json.dumps([0] * 100).encode(), "more than 100 values"),
        (b"[" * 100 + b"]" * 100, "more than 100 values"),
        (b'{"a":' * 100 + b"0" + b"}" * 100, "more than 100 values"),
        (json.dumps([[]] * 50).encode(), "more than 100 values"),
    ],
)
def test_everything_else_is_refused_by_name(raw: bytes, words: str) -> None:
    with pytest.raises(JsonRefused, match=words):
        parse(raw, BOUNDS)


def test_what_is_just_within_bounds_is_read() -> None:
    assert parse(json.dumps([0] * 99).encode(), BOUNDS) == [0] * 99
    assert len(parse(json.dumps(dict.fromkeys(map(str, range(10)))).encode(), BOUNDS)) == 10


def test_nesting_is_bounded_where_nothing_else_is() -> None:
    with pytest.raises(JsonRefused, match="nested too deeply"):
        parse(b"[" * 100_000 + b"]" * 100_000, JsonBounds(values=10**6, keys=10))
