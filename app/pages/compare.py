"""Two scores side by side: every total, every layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.breakdown import LayerCost, by_name
from app.http.access import Caller, CallerDep
from app.http.error_answers import status_of
from app.http.errors import InvalidRequest
from app.http.jobs import check_id, own_job
from app.http.problems import Fault
from app.http.site import Site, SiteDep
from app.pages.drawings.layers import draw_layers
from app.pages.job_ids import whole_id
from app.pages.job_panel import title_of
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.results import MOST_LISTED, ScoreView, result_view
from app.pages.routing import page_router, see_other
from app.pages.settings_pairs import differing_settings
from micronet.contract import NetworkWidths, ScoreResult
from micronet.errors import MicronetError
from worker.errors import JobNotFound
from worker.records.jobs import Filter
from worker.records.values import Job, Status

COMPARE = "/ui/compare"
_CHOICES = 30
_UNKNOWN = NetworkWidths(param_bits=None, mul_bits=None)


@dataclass(frozen=True, slots=True)
class Pair:
    """A number of both. `bits` and such are shown as they are; a difference only where both have it, and the numbers
    are of one kind: what two policies make of a network does not compare.
    """

    name: str
    first: float | None
    second: float | None
    digits: int = 0
    compares: bool = True

    @property
    def difference(self) -> float | None:
        """The second less the first."""
        if self.first is None or self.second is None or not self.compares:
            return None
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class LayerPair:
    """A layer of both networks, by name; None where one has none of this name."""

    name: str
    first: LayerCost | None
    second: LayerCost | None

    @property
    def difference(self) -> float:
        """Points of the score."""
        return (self.second.points if self.second else 0.0) - (self.first.points if self.first else 0.0)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Which field of the form cannot be used, and why."""

    field: str | None
    error: MicronetError


def compare_router() -> APIRouter:
    """The page at /ui/compare."""
    router = page_router()
    router.add_api_route(COMPARE, _page, methods=["GET", "HEAD"], name="compare_page")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """The jobs `a` and `b` of the address; without them, or with what cannot be compared, a choice of the caller's.

    Beginnings of ids lead to the whole ones, and so do two that were checked in a list: each comes as `of`.
    """
    query = Query(request.query_params)
    if chosen := request.query_params.getlist("of"):
        return await _checked(request, site, caller, chosen)
    ids = (query.text("a"), query.text("b"))
    jobs = []
    for name, job_id in zip("ab", ids, strict=True):
        if job_id is None:
            return await _choice(request, site, caller, ids)
        try:
            job = await site.database.run(_named, site, caller, job_id)
        except (JobNotFound, InvalidRequest) as error:
            return await _choice(request, site, caller, ids, Wrong(name, error))
        jobs.append(job)
    whole = [job.id for job in jobs]
    if whole != list(ids):
        return see_other(_address(*whole))
    try:
        return await site.files.run(_compared, request, site, jobs)
    except InvalidRequest as error:
        return await _choice(request, site, caller, ids, Wrong(error.faults[0].parameter, error))


async def _checked(request: Request, site: Site, caller: Caller, chosen: Sequence[str]) -> Response:
    """To the page of two that were checked; to the choice of a second where there was one. Raises JobNotFound."""
    for job_id in chosen[:2]:
        check_id(job_id)
    if len(chosen) == 2:
        return see_other(_address(*chosen))
    if len(chosen) == 1:
        return await _choice(request, site, caller, (chosen[0], None))
    fault = Fault(detail="two are compared; check two of them.", parameter="of")
    return await _choice(request, site, caller, (None, None), Wrong(None, InvalidRequest([fault])))


def _address(first: str, second: str) -> str:
    return f"{COMPARE}?a={first}&b={second}"


def _named(site: Site, caller: Caller, named: str) -> Job:
    job, _ = own_job(site, caller, whole_id(site, caller, named))
    return job


async def _choice(
    request: Request, site: Site, caller: Caller, ids: Sequence[str | None], wrong: Wrong | None = None
) -> Response:
    """The form, filled as it was, and what is wrong with that."""
    recent = await site.database.run(recent_scores, site, caller.owner)
    status = 200 if wrong is None else status_of(wrong.error)
    return render(request, "compare_choice.html", status, recent=recent, first=ids[0], second=ids[1], wrong=wrong)


def _compared(request: Request, site: Site, jobs: Sequence[Job]) -> Response:
    """Both, side by side; in a thread, for it takes the longer the deeper they are. Raises InvalidRequest for what is
    no score.
    """
    shown = [result_view(job, site.services.settings.data) for job in jobs]
    views = [_scored(job, view, name) for job, view, name in zip(jobs, shown, "ab", strict=True)]
    largest = max((max(layer.storage, layer.math) for view in views for layer in view.listed), default=0.0)
    layers = _layers(*views)
    return render(
        request,
        "compare.html",
        jobs=jobs,
        titles=_titles(jobs, views),
        views=views,
        drawings=[draw_layers(view.listed, largest or None) for view in views],
        totals=_totals(*views),
        alike=_alike(*views),
        settings=differing_settings(*jobs),
        layers=layers[:MOST_LISTED],
        names=len(layers),
    )


def _titles(jobs: Sequence[Job], views: Sequence[ScoreView]) -> Sequence[str]:
    """What each is called; where that is the same, with its policy, and where that is too, with how its id begins."""
    titles = [title_of(job) for job in jobs]
    for further in ([view.result.policy for view in views], [job.id[:8] for job in jobs]):
        if titles[0] == titles[1]:
            titles = [f"{title_of(job)}, {more}" for job, more in zip(jobs, further, strict=True)]
    return titles


def _alike(first: ScoreView, second: ScoreView) -> bool:
    """Whether their scores compare: they are of one track, by one policy."""
    a, b = first.result, second.result
    return (a.track, a.policy) == (b.track, b.policy)


def recent_scores(site: Site, owner: str) -> Sequence[Job]:
    """The newest scores of an owner, to choose from."""
    return site.services.records.jobs.list(Filter(owner, Status.SUCCEEDED, "score"), _CHOICES)


def _scored(job: Job, view: object, parameter: str) -> ScoreView:
    if not isinstance(view, ScoreView):
        detail = f"{job.id} is no score that was counted; only those compare."
        raise InvalidRequest([Fault(detail=detail, parameter=parameter)])
    return view


def _totals(first: ScoreView, second: ScoreView) -> Sequence[Pair]:
    a, b, alike = first.result, second.result, _alike(first, second)
    return (
        Pair("score", a.score.total, b.score.total, 6, alike),
        Pair("storage term", a.score.storage, b.score.storage, 6, alike),
        Pair("math term", a.score.math, b.score.math, 6, alike),
        Pair(
            "correct answers",
            None if a.accuracy is None else a.accuracy.correct,
            None if b.accuracy is None else b.accuracy.correct,
        ),
        *_widths(a, b),
        Pair("multiplications", a.operations.multiplications, b.operations.multiplications),
        Pair("additions", a.operations.additions, b.operations.additions),
        Pair("parameters", a.storage.parameters, b.storage.parameters),
        Pair("parameters that are not zero", a.storage.nonzero, b.storage.nonzero),
        Pair("math, 32-bit operations", a.operations.math, b.operations.math, 1, a.policy == b.policy),
        Pair("storage, 32-bit parameters", a.storage.storage, b.storage.storage, 1, a.policy == b.policy),
        Pair("largest transient activations, bytes", a.mtas_bytes, b.mtas_bytes),
    )


def _widths(first: ScoreResult, second: ScoreResult) -> Sequence[Pair]:
    """What both are listed at; none where neither says."""
    a, b = first.widths or _UNKNOWN, second.widths or _UNKNOWN
    if a == b == _UNKNOWN:
        return ()
    return (
        Pair("bits of weights", a.param_bits, b.param_bits),
        Pair("bits of activations", a.mul_bits, b.mul_bits),
    )


def _layers(first: ScoreView, second: ScoreView) -> Sequence[LayerPair]:
    """Every name, those that differ most first; where scores do not compare, those that cost most in either."""
    a, b = by_name(first.layers), by_name(second.layers)
    names = [*a, *(name for name in b if name not in a)]
    pairs = [LayerPair(name, a.get(name), b.get(name)) for name in names]
    if _alike(first, second):
        return sorted(pairs, key=lambda pair: -abs(pair.difference))
    return sorted(pairs, key=lambda pair: -max(cost.points for cost in (pair.first, pair.second) if cost))
