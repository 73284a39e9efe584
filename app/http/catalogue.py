"""What there is to choose from: tracks and architectures."""

from functools import cache

from fastapi import APIRouter

from app.http.access import CallerDep
from app.http.routing import api_router
from app.http.schemas import ArchitectureList, ArchitectureView, TrackList, TrackView
from app.http.site import SiteDep
from micronet.architectures import architectures
from micronet.tracks import tracks


def catalogue_router() -> APIRouter:
    """Routes of things to choose from."""
    router = api_router("catalogue")
    router.add_api_route("/tracks", _tracks, methods=["GET"], name="list_tracks")
    router.add_api_route("/architectures", _architectures, methods=["GET"], name="list_architectures")
    return router


async def _tracks(site: SiteDep, caller: CallerDep) -> TrackList:
    """The tracks: data set, floor and baselines of each."""
    known = await site.files.run(tracks, site.services.settings.data)
    views = [TrackView(**track.model_dump(), threshold=track.threshold) for track in known.values()]
    return TrackList(tracks=views)


async def _architectures(caller: CallerDep) -> ArchitectureList:
    """The networks a bare state dict can be of, with the JSON Schema of their options."""
    return _described()


@cache
def _described() -> ArchitectureList:
    return ArchitectureList(
        architectures=[
            ArchitectureView(name=name, summary=row.summary, options=row.options.model_json_schema())
            for name, row in architectures().items()
        ]
    )
