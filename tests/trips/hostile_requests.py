"""Requests no polite client sends, and the status and code each must get."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.trips.hostile_http import FORM, form, part

CONTENT = b"not a network"
ZEROS = b"0" * 64
_FILE = part(b"checkpoint", CONTENT, b"net.onnx")
_SETTINGS = part(b"settings", b"{}")
_CHUNKED = b"Transfer-Encoding: chunked"
_BODY = form(_SETTINGS)


@dataclass(frozen=True)
class Hostile:
    """A request, and what it must get. `code` None: no problem, whatever is answered."""

    status: int
    code: str | None
    request: bytes = b"POST /score"
    headers: tuple[bytes, ...] = (FORM,)
    body: bytes = b""


def _settings(text: bytes | str) -> Hostile:
    raw = text.encode() if isinstance(text, str) else text
    return Hostile(422, "invalid-settings", body=form(_FILE, part(b"settings", raw)))


def _options(name: str, **options: object) -> Hostile:
    return _settings(json.dumps({"architecture": {"name": name, "options": options}}))


def _nested(opening: str, closing: str) -> str:
    return opening * 10_000 + "1" + closing * 10_000


def _keys(count: int, last: str) -> str:
    return "{" + "".join(f'"{number:x}":0,' for number in range(count)) + last + "}"


_WIDTHS = ("0", "-1", "33", "1e9", "9.5", "NaN", "Infinity", "-0", '"9"', "true", "null", "[9]", "9" * 4000, "1e400")

SETTINGS: Mapping[str, Hostile] = {
    **{f"{width[:12]} bits": _settings(f'{{"bits": {{"param_bits": {width}}}}}') for width in _WIDTHS},
    "lists nested 10,000 deep": _settings(_nested("[", "]")),
    "objects nested 10,000 deep": _settings(_nested('{"a":', "}")),
    "lists nested and never closed": _settings("[" * 500_000),
    "options nested 10,000 deep": _settings(
        '{"architecture": {"name": "digits", "options": {"a": ' + _nested("[", "]") + "}}}"
    ),
    "a name of a million characters": _settings(json.dumps({"name": "x" * 1_000_000})),
    "a team of a million characters": _settings(json.dumps({"team": "x" * 1_000_000})),
    "a track that is a path": _settings('{"track": "../../etc/passwd"}'),
    "an architecture that is a path": _settings('{"architecture": {"name": "../../etc/passwd"}}'),
    "90,000 unknown keys": _settings(_keys(90_000, '"z": 0')),
    "9,000 unknown keys": _settings(_keys(9000, '"z": 0')),
    "900 unknown keys": _settings(_keys(900, '"z": 0')),
    "90,000 keys, the last twice": _settings(_keys(90_000, '"z": 0, "z": 0')),
    "900 keys, the last twice": _settings(_keys(900, '"z": 0, "z": 0')),
    "90,000 unknown options": _settings(
        '{"architecture": {"name": "digits", "options": ' + _keys(90_000, '"z": 0') + "}}"
    ),
    "300,000 empty objects": _settings('{"a": [' + "{}," * 300_000 + "{}]}"),
    "a mean of 250,000 numbers": _settings('{"normalize": {"mean": [' + "0.5," * 250_000 + '0.5], "std": [1]}}'),
    "a divisor of 0": _settings('{"normalize": {"mean": [0, 0, 0], "std": [0, 0, 0]}}'),
    "10^9 channels": _options("digits", width=10**9),
    "10^9 channels more": _options("pyramidnet", alpha=10**9),
    "10^9 layers": _options("wideresnet", depth=10**9),
    "10^9 classes": _options("resnet_cifar", num_classes=10**9),
    "images of 10^9 pixels": _options("efficientnet", image_size=10**9),
    "10^400 channels": _settings('{"architecture": {"name": "digits", "options": {"width": 1' + "0" * 400 + "}}}"),
    "-1 channels": _options("digits", width=-1),
    "true channels": _options("digits", width=True),
    "not UTF-8": _settings(b'{"name": "\xff\xfe"}'),
    "UTF-16": _settings('{"seed": 1}'.encode("utf-16")),
    "half a character": _settings('{"name": "\\ud800"}'),
    "two documents": _settings("{}{}"),
    "a comment": _settings("{} // all of them"),
    "nothing": _settings(""),
    "too many bytes": Hostile(413, "body-too-large", body=form(_FILE, part(b"settings", b" " * (1 << 20) + b"{}"))),
}

_FAULT = (422, "invalid-request")
_BROKEN = (400, "malformed-form")
FORMS: Mapping[str, Hostile] = {
    "no boundary": Hostile(*_BROKEN, headers=(b"Content-Type: multipart/form-data",), body=_BODY),
    "an empty boundary": Hostile(*_BROKEN, headers=(b"Content-Type: multipart/form-data; boundary=",), body=_BODY),
    "a boundary of 60,000 bytes": Hostile(*_BROKEN, headers=(FORM + b"b" * 60_000,), body=_BODY),
    "another boundary": Hostile(*_BROKEN, headers=(FORM + b"c",), body=_BODY),
    "a boundary with line ends": Hostile(*_BROKEN, headers=(FORM + b'"\\r\\n"',), body=_BODY),
    "two files": Hostile(*_FAULT, body=form(_FILE, _FILE)),
    "settings twice": Hostile(*_FAULT, body=form(_SETTINGS, _SETTINGS, _FILE)),
    "a field nobody knows": Hostile(*_FAULT, body=form(_FILE, part(b"x" * 3000, b"1"))),
    "a field without a name": Hostile(*_FAULT, body=form(part(b"", b"1"))),
    "100,000 fields": Hostile(*_FAULT, body=form(_SETTINGS * 100_000)),
    "100,000 fields nobody knows": Hostile(*_FAULT, body=form(part(b"x", b"") * 100_000)),
    "a field's header of a MiB": Hostile(*_BROKEN, body=b"--b\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n1\r\n--b--\r\n"),
    "100,000 headers of a field": Hostile(*_BROKEN, body=b"--b\r\n" + b"X: y\r\n" * 100_000 + b"\r\n1\r\n--b--\r\n"),
    "a part that is no field": Hostile(*_BROKEN, body=b"--b\r\nContent-Disposition: attachment\r\n\r\n1\r\n--b--\r\n"),
    "no closing boundary": Hostile(*_BROKEN, body=_FILE + _SETTINGS),
    "half a closing boundary": Hostile(*_BROKEN, body=_FILE + b"--b-"),
    "lines without returns": Hostile(*_BROKEN, body=form(_FILE).replace(b"\r\n", b"\n")),
    "line ends alone": Hostile(*_BROKEN, body=b"\r\n" * 500_000),
    "nothing": Hostile(*_BROKEN, headers=(FORM, b"Content-Length: 0")),
    "an empty form": Hostile(*_FAULT, body=b"--b--\r\n"),
    "an empty file": Hostile(*_FAULT, body=form(part(b"checkpoint", b"", b"net.onnx"))),
    "a file and a hash": Hostile(*_FAULT, body=form(_FILE, part(b"checkpoint_sha256", ZEROS))),
    "neither file nor hash": Hostile(*_FAULT, body=form(_SETTINGS)),
    "a hash of nothing": Hostile(404, "checkpoint-not-found", body=form(part(b"checkpoint_sha256", ZEROS))),
    "a hash that is a path": Hostile(*_FAULT, body=form(part(b"checkpoint_sha256", b"../" * 21 + b"x"))),
    "a hash of a MiB": Hostile(*_FAULT, body=form(part(b"checkpoint_sha256", b"0" * (1 << 20)))),
    "an unknown charset": Hostile(202, None, headers=(FORM + b"; charset=evil",), body=form(_SETTINGS, _FILE)),
    "settings in a file": Hostile(202, None, body=form(part(b"settings", b"{}", b"../settings.json"), _FILE)),
    "a file without a name": Hostile(202, None, body=form(part(b"checkpoint", CONTENT))),
    "more after the end": Hostile(202, None, body=form(_FILE) + b"--b\r\n" * 100_000),
    "a file of returns": Hostile(202, None, body=form(part(b"checkpoint", b"\r" * (8 << 20), b"net.onnx"))),
    "a file of false boundaries": Hostile(202, None, body=form(part(b"checkpoint", b"\r\n--" * (2 << 20), b"a"))),
    "plain text": Hostile(415, "unsupported-media-type", headers=(b"Content-Type: text/plain",), body=_BODY),
    "JSON": Hostile(415, "unsupported-media-type", headers=(b"Content-Type: application/json",), body=b"{}"),
    "no type": Hostile(415, "unsupported-media-type", headers=(b"X: y",), body=_BODY),
    "a type of noise": Hostile(415, "unsupported-media-type", headers=(b"Content-Type: \xff/\xfe;=;==",), body=_BODY),
    "a URL-encoded form": Hostile(
        415,
        "unsupported-media-type",
        headers=(b"Content-Type: application/x-www-form-urlencoded",),
        body=b"settings=%7B%7D",
    ),
}

_NO_HTTP = (400, "malformed-request")
_TOO_LARGE = (413, "body-too-large")
_SOCKET = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: eA==")
HEADS: Mapping[str, Hostile] = {
    "both lengths": Hostile(*_NO_HTTP, headers=(FORM, _CHUNKED, b"Content-Length: 5"), body=b"5\r\n12345\r\n0\r\n\r\n"),
    "two lengths": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: 5", b"Content-Length: 6"), body=b"12345"),
    "a length of -1": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: -1")),
    "a length of 1e3": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: 1e3")),
    "a length of 40 digits": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: " + b"9" * 40)),
    "a length of 10^18": Hostile(*_TOO_LARGE, headers=(FORM, b"Content-Length: 1" + b"0" * 18)),
    "an unknown coding": Hostile(*_NO_HTTP, headers=(FORM, b"Transfer-Encoding: gzip"), body=b"x"),
    "a chunk of -5 bytes": Hostile(*_NO_HTTP, headers=(FORM, _CHUNKED), body=b"-5\r\nabc\r\n0\r\n\r\n"),
    "a chunk of 16^40 bytes": Hostile(*_NO_HTTP, headers=(FORM, _CHUNKED), body=b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n"),
    "a chunk with a MiB of extension": Hostile(
        *_BROKEN, headers=(FORM, _CHUNKED), body=b"3;" + b"x" * (1 << 20) + b"\r\nabc\r\n0\r\n\r\n"
    ),
    "a header of 100,000 bytes": Hostile(431, "head-too-large", b"GET /jobs", (b"X: " + b"x" * 100_000,)),
    "50,000 headers": Hostile(431, "head-too-large", b"GET /jobs", (b"X: y",) * 50_000),
    "an address of 100,000 bytes": Hostile(431, "head-too-large", b"GET /jobs/" + b"x" * 100_000, ()),
    "an address of 60,000 bytes": Hostile(404, "job-not-found", b"GET /jobs/" + b"x" * 60_000, ()),
    "a header without a colon": Hostile(*_NO_HTTP, b"GET /jobs", (b"none here",)),
    "a header with NUL": Hostile(*_NO_HTTP, b"GET /jobs", (b"X: a\0b",)),
    "headers of noise": Hostile(200, None, b"GET /jobs", (b"Authorization: \xff", b"X-Request-Id: \xff\xfe")),
    "a header of two lines": Hostile(*_NO_HTTP, b"GET /jobs", (b"X: a\r\n b",)),
    "a method nobody knows": Hostile(*_NO_HTTP, b"BREW /jobs", ()),
    "a method nobody serves": Hostile(405, "method-not-allowed", b"PROPFIND /jobs", ()),
    "a delete of all": Hostile(405, "method-not-allowed", b"DELETE /jobs", ()),
    "a trace": Hostile(405, "method-not-allowed", b"TRACE /jobs", ()),
    "a proxy's job": Hostile(*_NO_HTTP, b"CONNECT example.org:443", ()),
    "another server's address": Hostile(200, None, b"GET http://example.org/jobs", ()),
    "a web socket": Hostile(200, None, b"GET /jobs", _SOCKET),
    "a form over a web socket": Hostile(202, None, headers=(FORM, *_SOCKET), body=form(_FILE)),
    "a key of 60,000 bytes": Hostile(*_FAULT, headers=(FORM, b"Idempotency-Key: " + b"x" * 60_000), body=_BODY),
    "an event of 5,000 digits": Hostile(
        404, "job-not-found", b"GET /jobs/" + b"0" * 32 + b"/events", (b"Last-Event-ID: " + b"9" * 5000,)
    ),
    "5,000 ranges": Hostile(404, "blob-not-found", b"GET /blobs/" + ZEROS, (b"Range: bytes=" + b"0-0," * 5000,)),
}

_NOWHERE = (404, "no-such-address")
_ADDRESSES: Mapping[bytes, tuple[int, str | None]] = {
    b"/blobs/../../etc/passwd": _NOWHERE,
    b"/blobs/..%2f..%2fetc%2fpasswd": _NOWHERE,
    b"/blobs/%2e%2e": _FAULT,
    b"/blobs/%00": _FAULT,
    b"/blobs/" + b"0" * 63: _FAULT,
    b"/blobs/" + ZEROS + b"%0a": _FAULT,
    b"/blobs/" + ZEROS + b"?filename=" + b"x" * 256: _FAULT,
    b"/checkpoints/%00": _FAULT,
    b"/checkpoints/" + b"A" * 64: _FAULT,
    b"/jobs/%00": (404, "job-not-found"),
    b"/jobs/%ff%fe": (404, "job-not-found"),
    b"/jobs/..": (404, "job-not-found"),
    b"/jobs/": _NOWHERE,
    b"//jobs": _NOWHERE,
    b"/%2e%2e/%2e%2e/etc/passwd": _NOWHERE,
    b"/\\..\\..\\etc\\passwd": _NOWHERE,
    b"/.git/config": _NOWHERE,
    b"/jobs?limit=%00": _FAULT,
    b"/jobs?limit=0": _FAULT,
    b"/jobs?limit=-1": _FAULT,
    b"/jobs?limit=1e1": _FAULT,
    b"/jobs?limit=" + b"9" * 5000: _FAULT,
    b"/jobs?cursor=%ff%fe": _FAULT,
    b"/jobs?cursor=" + b"A" * 5000: _FAULT,
    b"/jobs?kind=%00": _FAULT,
    b"/jobs?status=%ff": _FAULT,
    b"/jobs?team=%00": _FAULT,
    b"/jobs?team=" + b"x" * 50_000: _FAULT,
    b"/jobs?team=%ed%a0%80": (200, None),
    b"/jobs?" + b"a=1&" * 15_000: _FAULT,
    b"/jobs?team=\xff": _NO_HTTP,
    b"/leaderboard": _FAULT,
    b"/leaderboard?track=%00": _FAULT,
    b"/leaderboard?track=../../etc/passwd": (422, "unknown-track"),
    b"/leaderboard?track=digits&sort=%27%20OR%201=1--": _FAULT,
}
ADDRESSES: Mapping[str, Hostile] = {
    address[:60].decode("latin-1"): Hostile(*expected, b"GET " + address, ())
    for address, expected in _ADDRESSES.items()
}

FILENAMES: Mapping[str, bytes] = {
    "a path upwards": b"../../../../../../../../tmp/hostile-escape",
    "a path of Windows": b"C:\\Windows\\hostile-escape",
    "an absolute path": b"/etc/hostile-escape",
    "dots": b"..",
    "NUL": b"a\0b.onnx",
    "line ends": b"a\r\nX-Evil: 1\r\n.onnx",
    "quotes": b'a\\"; filename=\\"b"; x="',
    "10,000 characters": b"x" * 10_000,
    "text turned round": "a\u202egnp.onnx".encode(),
    "noise": bytes(range(128, 256)),
    "a terminal's commands": b"\x1b]0;evil\x07\x1b[2J.onnx",
    "markup": b"<script>alert(1)</script>.onnx",
    "a device": b"/dev/stdin",
    "blanks": b"   ",
}
