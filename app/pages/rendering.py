"""From a template and values to an answer. Everything is escaped; nothing on a page may run but our own files."""

import gzip
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.http.access import COOKIE
from app.http.site import site_of
from app.pages import formats
from app.pages.assets import asset_address
from app.pages.words import for_people
from app.printable import printable

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms without saying from where
}
_SMALL = 1024
_LEVEL = 5


def render(request: Request, template: str, status: int = 200, **values: object) -> Response:
    """The page that `template` makes of `values`."""
    page = _templates().get_template(template)
    site = site_of(request)
    text = page.render(
        request_path=request.url.path,
        open_access=site.open_access,
        has_token=COOKIE in request.cookies,
        signed_in_as=getattr(request.state, "team", None),
        **values,
    )
    return compressed(request, HTMLResponse(text, status, _HEADERS))


def fragment(template: str, **values: object) -> Markup:
    """A part of a page that is the same for everybody."""
    return Markup(_templates().get_template(template).render(**values))  # escaped by the template


def compressed(request: Request, answer: Response) -> Response:
    """The answer, with gzip where its reader takes that and it pays. Nothing secret is ever in a page."""
    answer.headers["Vary"] = "Accept-Encoding"
    if len(answer.body) >= _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        answer.body = gzip.compress(bytes(answer.body), _LEVEL)
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Content-Length"] = str(len(answer.body))
    return answer


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(formats.FILTERS)
    environment.filters["printable"] = printable
    environment.filters["for_people"] = lambda error: for_people(str(error))
    environment.globals["asset"] = asset_address
    return environment
