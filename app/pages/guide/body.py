"""The text of the guide, made once for what it depends on: everything is a table of the code but the tracks."""

from collections.abc import Mapping
from functools import lru_cache

from markupsafe import Markup

from app.pages.guide.errors import error_branches
from app.pages.guide.schema import tables_of
from app.pages.guide.submissions import SUBMISSIONS
from app.pages.guide.worked import counted, worked
from app.pages.rendering import fragment
from micronet.architectures import architectures
from micronet.jobs import JOBS
from micronet.reference import reference
from micronet.tracks import Track

SECTIONS: Mapping[str, str] = {
    "policies": "Policies, with worked numbers",
    "score": "Score",
    "costs": "Costs of operations",
    "formats": "Files that are read",
    "tracks": "Tracks",
    "architectures": "Architectures",
    "jobs": "Jobs and their settings",
    "errors": "Error codes",
}
"""Anchors that stay, and headings."""


@lru_cache(maxsize=8)
def guide_body(tracks: tuple[Track, ...], all_tracks: bool, upload_bytes: int) -> Markup:
    """Everything below the heading. `all_tracks`: whether these are all that the server has."""
    facts = reference()
    return fragment(
        "guide/body.html",
        sections=SECTIONS,
        facts=facts,
        counted=counted(facts.examples[0]),
        worked=worked(facts),
        submissions=SUBMISSIONS,
        tracks=tracks,
        all_tracks=all_tracks,
        upload_bytes=upload_bytes,
        architectures=architectures(),
        options={name: tables_of(row.options.model_json_schema()) for name, row in architectures().items()},
        jobs=JOBS,
        settings={kind: tables_of(job.settings.model_json_schema()) for kind, job in JOBS.items()},
        branches=error_branches(),
    )
