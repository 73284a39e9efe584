"""Requests no polite client sends, and the status and code each must get."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

FORM = b"Content-Type: multipart/form-data; boundary=b"


@dataclass(frozen=True)
class Hostile:
    """A request, and what it must get. `code` None: no problem, whatever is answered."""

    status: int
    code: str | None
    request: bytes = b"POST /score"
    headers: tuple[bytes, ...] = (FORM,)
    body: bytes = b""

    def to(self, host: str) -> bytes:
        """All that is sent; Content-Length is added for a body, unless there are headers for it."""
        given = b"\n".join(self.headers).lower()
        says_how_long = b"content-length" in given or b"transfer-encoding" in given
        length = [b"Content-Length: %d" % len(self.body)] if self.body and not says_how_long else []
        head = [self.request + b" HTTP/1.1", b"Host: " + host.encode(), *self.headers, *length]
        return b"\r\n".join([*head, b"", self.body])


def part(name: bytes, content: bytes, filename: bytes | None = None) -> bytes:
    """A field of a form; its name and file name go in as they are."""
    label = b'name="' + name + b'"' + (b"" if filename is None else b'; filename="' + filename + b'"')
    return b"--b\r\nContent-Disposition: form-data; " + label + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--b--\r\n"


CONTENT = b"not a network"
_ZEROS = b"0" * 64
_FILE = part(b"checkpoint", CONTENT, b"net.onnx")
_SETTINGS = part(b"settings", b"{}")
_CHUNKED = (FORM, b"Transfer-Encoding: chunked")


def _settings(text: bytes | str) -> Hostile:
    raw = text.encode() if isinstance(text, str) else text
    return Hostile(422, "invalid-settings", body=form(_FILE, part(b"settings", raw)))


def _options(name: str, **options: object) -> Hostile:
    return _settings(json.dumps({"architecture": {"name": name, "options": options}}))


def _keys(count: int, last: str) -> str:
    return "{" + "".join(f'"{number:x}":0,' for number in range(count)) + last + "}"


SETTINGS: Mapping[str, Hostile] = {
    **{f"{width} bits": _settings(f'{{"bits": {{"param_bits": {width}}}}}') for width in ("9.5", "-0", "null", "[9]")},
    "objects nested 10,000 deep": _settings('{"a":' * 10_000 + "1" + "}" * 10_000),
    "lists nested and never closed": _settings("[" * 500_000),
    "a track that is a path": _settings('{"track": "../../etc/passwd"}'),
    "an architecture that is a path": _settings('{"architecture": {"name": "../../etc/passwd"}}'),
    "90,000 unknown keys": _settings(_keys(90_000, '"z": 0')),
    "900 unknown keys": _settings(_keys(900, '"z": 0')),
    "900 keys, the last twice": _settings(_keys(900, '"z": 0, "z": 0')),
    "a divisor of 0": _settings('{"normalize": {"mean": [0, 0, 0], "std": [0, 0, 0]}}'),
    "10^9 channels more": _options("pyramidnet", alpha=10**9),
    "10^9 layers": _options("wideresnet", depth=10**9),
    "10^9 classes": _options("resnet_cifar", num_classes=10**9),
    "images of 10^9 pixels": _options("efficientnet", image_size=10**9),
    "10^400 channels": _options("digits", width=10**400),
    "-1 channels": _options("digits", width=-1),
    "true channels": _options("digits", width=True),
    "UTF-16": _settings('{"seed": 1}'.encode("utf-16")),
    "two documents": _settings("{}{}"),
    "a comment": _settings("{} // all of them"),
}

_FAULT = (422, "invalid-request")
_BROKEN = (400, "malformed-form")
_OTHER = (415, "unsupported-media-type")
FORMS: Mapping[str, Hostile] = {
    "an empty boundary": Hostile(*_BROKEN, headers=(FORM[:-1],), body=form(_FILE)),
    "a boundary of 60,000 bytes": Hostile(*_BROKEN, headers=(FORM + b"b" * 60_000,), body=form(_FILE)),
    "a boundary with line ends": Hostile(*_BROKEN, headers=(FORM + b'"\\r\\n"',), body=form(_FILE)),
    "a field of a long name": Hostile(*_FAULT, body=form(_FILE, part(b"x" * 3000, b"1"))),
    "a field without a name": Hostile(*_FAULT, body=form(part(b"", b"1"))),
    "100,000 fields": Hostile(*_FAULT, body=form(_SETTINGS * 100_000)),
    "a part that is no field": Hostile(*_BROKEN, body=b"--b\r\nContent-Disposition: attachment\r\n\r\n1\r\n--b--\r\n"),
    "half a closing boundary": Hostile(*_BROKEN, body=_FILE + b"--b-"),
    "lines without returns": Hostile(*_BROKEN, body=form(_FILE).replace(b"\r\n", b"\n")),
    "line ends alone": Hostile(*_BROKEN, body=b"\r\n" * 500_000),
    "an empty form": Hostile(*_FAULT, body=b"--b--\r\n"),
    "a hash that is a path": Hostile(*_FAULT, body=form(part(b"checkpoint_sha256", b"../" * 21 + b"x"))),
    "a hash of a MiB": Hostile(*_FAULT, body=form(part(b"checkpoint_sha256", b"0" * (1 << 20)))),
    "a file name with line ends": Hostile(*_BROKEN, body=form(part(b"checkpoint", CONTENT, b"a\r\nX: y\r\n.onnx"))),
    "a file name of 10,000 characters": Hostile(*_BROKEN, body=form(part(b"checkpoint", CONTENT, b"x" * 10_000))),
    "an unknown charset": Hostile(202, None, headers=(FORM + b"; charset=evil",), body=form(_SETTINGS, _FILE)),
    "settings in a file": Hostile(202, None, body=form(part(b"settings", b"{}", b"../settings.json"), _FILE)),
    "a file without a name": Hostile(202, None, body=form(part(b"checkpoint", CONTENT))),
    "more after the end": Hostile(202, None, body=form(_FILE) + b"--b\r\n" * 100_000),
    "a file of returns": Hostile(202, None, body=form(part(b"checkpoint", b"\r" * (8 << 20), b"net.onnx"))),
    "a file of false boundaries": Hostile(202, None, body=form(part(b"checkpoint", b"\r\n--" * (2 << 20), b"a"))),
    "a type of noise": Hostile(*_OTHER, headers=(b"Content-Type: \xff/\xfe;=;==",), body=form(_FILE)),
    "a form as its address": Hostile(
        *_OTHER, headers=(b"Content-Type: application/x-www-form-urlencoded",), body=b"settings=%7B%7D"
    ),
}

_NO_HTTP = (400, "malformed-request")
_ELSEWHERE = (405, "method-not-allowed")
HEADS: Mapping[str, Hostile] = {
    "both lengths": Hostile(*_NO_HTTP, headers=(*_CHUNKED, b"Content-Length: 5"), body=b"5\r\n12345\r\n0\r\n\r\n"),
    "two lengths": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: 5", b"Content-Length: 6"), body=b"12345"),
    "a length of -1": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: -1")),
    "a length of 1e3": Hostile(*_NO_HTTP, headers=(FORM, b"Content-Length: 1e3")),
    "a length of 10^18": Hostile(413, "body-too-large", headers=(FORM, b"Content-Length: 1" + b"0" * 18)),
    "an unknown coding": Hostile(*_NO_HTTP, headers=(FORM, b"Transfer-Encoding: gzip"), body=b"x"),
    "a chunk of -5 bytes": Hostile(*_NO_HTTP, headers=_CHUNKED, body=b"-5\r\nabc\r\n0\r\n\r\n"),
    "a chunk of 16^40 bytes": Hostile(*_NO_HTTP, headers=_CHUNKED, body=b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n"),
    "a chunk with a MiB of extension": Hostile(
        *_BROKEN, headers=_CHUNKED, body=b"3;" + b"x" * (1 << 20) + b"\r\nabc\r\n0\r\n\r\n"
    ),
    "an address of 100,000 bytes": Hostile(431, "head-too-large", b"GET /jobs/" + b"x" * 100_000, ()),
    "an address of 60,000 bytes": Hostile(404, "job-not-found", b"GET /jobs/" + b"x" * 60_000, ()),
    "a header without a colon": Hostile(*_NO_HTTP, b"GET /jobs", (b"none here",)),
    "a header with NUL": Hostile(*_NO_HTTP, b"GET /jobs", (b"X: a\0b",)),
    "headers of noise": Hostile(200, None, b"GET /jobs", (b"Authorization: \xff", b"X-Request-Id: \xff\xfe")),
    "a header of two lines": Hostile(*_NO_HTTP, b"GET /jobs", (b"X: a\r\n b",)),
    "a method nobody knows": Hostile(*_NO_HTTP, b"BREW /jobs", ()),
    "a method nobody serves": Hostile(*_ELSEWHERE, b"PROPFIND /jobs", ()),
    "a trace": Hostile(*_ELSEWHERE, b"TRACE /jobs", ()),
    "another server's address": Hostile(200, None, b"GET http://example.org/jobs", ()),
}

_NOWHERE = (404, "no-such-address")
_ADDRESSES: Mapping[bytes, tuple[int, str | None]] = {
    b"/blobs/../../etc/passwd": _NOWHERE,
    b"/blobs/..%2f..%2fetc%2fpasswd": _NOWHERE,
    b"/blobs/%2e%2e": _FAULT,
    b"/blobs/%00": _FAULT,
    b"/blobs/" + b"0" * 63: _FAULT,
    b"/blobs/" + _ZEROS + b"%0a": _FAULT,
    b"/blobs/" + _ZEROS + b"?filename=" + b"x" * 256: _FAULT,
    b"/checkpoints/%00": _FAULT,
    b"/checkpoints/" + b"A" * 64: _FAULT,
    b"/jobs/%ff%fe": (404, "job-not-found"),
    b"/jobs/..": (404, "job-not-found"),
    b"//jobs": _NOWHERE,
    b"/%2e%2e/%2e%2e/etc/passwd": _NOWHERE,
    b"/\\..\\..\\etc\\passwd": _NOWHERE,
    b"/.git/config": _NOWHERE,
    b"/jobs?limit=%00": _FAULT,
    b"/jobs?limit=-1": _FAULT,
    b"/jobs?limit=1e1": _FAULT,
    b"/jobs?limit=" + b"9" * 5000: _FAULT,
    b"/jobs?cursor=%ff%fe": _FAULT,
    b"/jobs?kind=%00": _FAULT,
    b"/jobs?status=%ff": _FAULT,
    b"/jobs?team=%ed%a0%80": (200, None),
    b"/jobs?" + b"a=1&" * 15_000: _FAULT,
    b"/jobs?team=\xff": _NO_HTTP,
    b"/leaderboard?track=%00": _FAULT,
    b"/leaderboard?track=../../etc/passwd": (422, "unknown-track"),
    b"/leaderboard?track=digits&sort=%27%20OR%201=1--": _FAULT,
}
ADDRESSES: Mapping[str, Hostile] = {
    address[:60].decode("latin-1"): Hostile(*expected, b"GET " + address, ())
    for address, expected in _ADDRESSES.items()
}

FILE_NAMES: Mapping[str, tuple[bytes, str | None]] = {
    "a path of Windows": (b"C:\\Windows\\hostile-escape", "hostile-escape"),
    "an absolute path": (b"/tmp/hostile-escape", "hostile-escape"),
    "a device": (b"/dev/stdin", "stdin"),
    "dots": (b"..", ".."),
    "blanks": (b"   ", None),
    "NUL": (b"a\0b.onnx", "ab.onnx"),
    "quotes": (b'a\\"; filename=\\"b"; x="', 'a"; filename="b'),
    "text turned round": ("a\u202egnp.onnx".encode(), "agnp.onnx"),
    "noise": (bytes(range(128, 256)), "\ufffd" * 128),
    "a terminal's commands": (b"\x1b]0;evil\x07\x1b[2J.onnx", "]0;evil[2J.onnx"),
    "markup": (b"<script>alert(1)</script>.onnx", "script>.onnx"),
}
"""Names of files, and what is kept of each."""
