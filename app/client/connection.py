"""Requests that are asked again while nobody can answer them."""

import ipaddress
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from app.client.addresses import server_address, without_password
from app.client.errors import Later, Lost, NoMicronet, ServerError, Unreachable, Unsendable
from app.client.reading import checked, content_of
from app.client.shapes import Shape

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
"""Seconds; each pause is twice as long as the one before."""
_LONGEST_ASKED = 60.0
"""Seconds; who asks to be left alone for longer is asked again then all the same."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
"""What Python puts before the system's words."""


class Patience:
    """Pauses that grow, until for `seconds` nothing went forward."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self.forward()

    def forward(self) -> None:
        """Something went well: start anew."""
        self._since, self._pause = self._clock(), _FIRST_PAUSE

    def wait(self, error: ServerError) -> None:
        """Pause before the next try, as long as the server asked for if it did. Raises `error` when it is over.

        What was asked for is cut short at the end, for a last try.
        """
        left = self._since + self._seconds - self._clock()
        pause = min(self._pause, _LONGEST_PAUSE)
        if pause > left:
            raise error
        asked = min(error.seconds, _LONGEST_ASKED) if isinstance(error, Later) else 0.0
        time.sleep(min(max(pause, asked), left))
        self._pause *= 2


def _headers(token: str | None) -> Mapping[str, str]:
    if token is None:
        return {}
    if not _TOKEN.fullmatch(token):
        detail = (
            "the token has characters that no header can carry; tokens begin with mn_ and are of letters, digits, - _."
        )
        raise Unsendable(detail)
    return {"Authorization": f"Bearer {token}"}


def _no_such_proxy(why: str) -> Unsendable:
    return Unsendable(f"the proxy that the environment names cannot be used: {why} Set another, or none.")


def _is_here(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".") == "localhost"
    return address.is_loopback or address.is_unspecified


def _unreached(error: httpx.TransportError, url: str, known: bool) -> ServerError:
    """Why there was no answer from `url`. Only from a server that is `known`, or that is there, one may come later.

    A server that was never met and takes no connection is more likely a wrong address than one that starts.
    """
    detail = f"{url}: {_ERRNO.sub('', str(error)) or type(error).__name__}"
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return Unsendable(detail)
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    if never_sent and not known:
        hint = "--server or MICRONET_SERVER names another; `micronet serve` starts one here"
        return Unreachable(f"{detail}. {hint}.")
    return (Later if never_sent else Lost).of(Unreachable(detail))


class Connection:
    """A connection to the server at `url`, which may be lost and found again. Times are seconds."""

    def __init__(self, url: str, token: str | None, timeout: float, patience: float) -> None:
        base, headers = server_address(url), _headers(token)
        try:
            # To this machine directly: no proxy of the environment could reach it, or is to see the token.
            direct = httpx.HTTPTransport() if _is_here(base.host) else None
            self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout, transport=direct)
        except (ImportError, ValueError) as error:  # of a proxy of a kind that httpx has not, or not without more
            raise _no_such_proxy(f"{error}") from error
        except httpx.InvalidURL:
            raise _no_such_proxy("its address is none.") from None  # which may hold a password
        self._seconds, self._known = patience, False

    def url(self, address: str = "") -> str:
        """Where something of the server is, for people: without the password in its URL, if there is one."""
        return without_password(self._http.base_url).rstrip("/") + address

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def patience(self) -> Patience:
        """For something that takes several requests."""
        return Patience(self._seconds)

    def once(self, method: str, address: str, **options: Any) -> httpx.Response:
        """Whatever is answered now. Raises Later, ServerError where nobody answers."""
        with self._reaching():
            return self._http.request(method, address, **options)

    def answer(self, method: str, address: str, **options: Any) -> httpx.Response:
        """The answer to a request that may be repeated. Raises ServerError."""
        patience = self.patience()
        while True:
            try:
                return checked(self.once(method, address, **options))
            except Later as error:
                patience.wait(error)

    def json(self, method: str, address: str, shape: type[Shape], **options: Any) -> dict[str, Any]:
        """The object in such an answer, which has that shape. Raises ServerError."""
        return content_of(self.answer(method, address, **options), shape)

    @contextmanager
    def stream(self, address: str, **options: Any) -> Iterator[httpx.Response]:
        """An answer whose content is still to come. Raises Later, ServerError, also when it stops coming."""
        with self._reaching(), self._http.stream("GET", address, **options) as answer:
            if not answer.is_success:
                answer.read()
            yield checked(answer)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise _unreached(error, self.url(), self._known) from error
        except httpx.InvalidURL as error:
            raise Unsendable(f"{self.url()}: {error}") from error
        except httpx.DecodingError as error:
            raise NoMicronet(f"{self.url()} answered with what nobody can unpack: {error}") from error
        self._known = True
