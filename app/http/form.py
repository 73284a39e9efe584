"""multipart/form-data as a stream of events: nothing is kept, nothing is written twice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from app.http.errors import MalformedForm, UnsupportedMedia

_HEADERS_PER_PART, _HEADER_BYTES = 8, 4096


@dataclass(frozen=True, slots=True)
class PartBegan:
    """A field called `name`; `filename` as its sender gave it, for files."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartEnded:
    """All of the field has come."""


FormEvent = PartBegan | memoryview | PartEnded
"""What happens in a form: a field begins, a piece of its data comes (valid until the next event), it ends."""


def boundary_of(request: Request) -> bytes:
    """The boundary of a form's parts. Raises UnsupportedMedia for other bodies, MalformedForm without one."""
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise UnsupportedMedia(f"{media_type.decode('latin-1')[:80] or 'nothing'} came; send multipart/form-data.")
    if not options.get(b"boundary"):
        raise MalformedForm("the Content-Type has no boundary.")
    return options[b"boundary"]


async def form_events(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[FormEvent]:
    """The events of a form. Raises MalformedForm where it breaks the rules, or ends too early."""
    collector = _Collector(boundary)
    async for chunk in chunks:
        for event in collector.feed(chunk):
            yield event
    if not collector.complete:
        raise MalformedForm("the form ends before its closing boundary.")


class _Collector:
    """Turns the parser's callbacks into events."""

    def __init__(self, boundary: bytes) -> None:
        self.complete = False
        self._events: list[FormEvent] = []
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = bytearray(), bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": lambda data, start, end: self._events.append(memoryview(data)[start:end]),
                    "on_part_end": lambda: self._events.append(PartEnded()),
                    "on_end": self._end,
                },
                max_header_count=_HEADERS_PER_PART,
                max_header_size=_HEADER_BYTES,
            )
        except FormParserError as error:
            raise MalformedForm(f"{error}.") from error

    def feed(self, chunk: bytes) -> list[FormEvent]:
        """What happened in `chunk`."""
        self._events = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedForm(f"{error}.") from error
        return self._events

    def _end_header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _begin_part(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        if disposition != b"form-data" or b"name" not in options:
            raise MalformedForm("a part has no Content-Disposition: form-data with a name.")
        filename = options.get(b"filename")
        self._events.append(PartBegan(_text(options[b"name"]), None if filename is None else _filename(filename)))

    def _end(self) -> None:
        self.complete = True


def _filename(raw: bytes) -> str:
    """Browsers, and httpx as they do, send a quote in a name as %22, and a percent sign as it is."""
    return _text(raw).replace("%22", '"')


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
