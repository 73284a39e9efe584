"""What the form of a score proposes where its address does not say how to score: what suits the board of its track."""

from collections.abc import Mapping

from app.http.site import Site
from app.pages.board_query import DEFAULT_TRACK, usual_policy
from app.pages.forms import SETTINGS
from app.pages.forms.plans import QUANTIZE
from worker.records.board_filters import BoardFilter

_SAYING = frozenset({"from", QUANTIZE.name, SETTINGS})
"""Parts of an address that say how, as widths do."""
_WIDTHS = "bits/"


def proposed(site: Site, kind: str, texts: Mapping[str, str]) -> Mapping[str, str]:
    """The policy and whether to quantize, as texts of a form, where these `texts` of its address do not say how.

    The policy is the one that they name, else the one that the board of their track opens with. By the challenge's
    rules a network is scored as it comes, by the report's at widths that are declared. The API has its own defaults.
    """
    if kind != "score" or any(name in _SAYING or name.startswith(_WIDTHS) for name in texts):
        return {}
    policy = texts.get("policy")
    if not policy:
        board = BoardFilter(texts.get("track") or DEFAULT_TRACK)
        policy = usual_policy(site.services.records.scores.counts(board))
    return {"policy": policy, QUANTIZE.name: "" if policy == "challenge" else "on"}
