"""What part of the leaderboard a page is about, and the addresses of others: every view of it has its own, for good."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast, get_args
from urllib.parse import urlencode

from starlette.requests import Request

from app.pages.queries import Query
from worker.records.board_filters import BoardFilter
from worker.records.scores import Counts, Order, SortKey

PAGE_SIZE = 50
_MOST_PAGES = 100_000
_BEST_IS_LARGEST = frozenset({"top1", "margin", "sparsity", "date", "version"})
POLICIES = ("challenge", "report")
BOTH = "both"
DEFAULT_TRACK = "cifar100"


@dataclass(frozen=True, slots=True)
class BoardQuery:
    """A view of the board of one track; None asks nothing, and leaves the policy to be chosen. `page` counts from 1.

    Scores of two policies do not compare: who asks for both gets entries without ranks, and no front.
    """

    track: str
    policy: str | None = None
    team: str | None = None
    search: str | None = None
    sort: SortKey = "score"
    descending: bool = False
    page: int = 1

    def filter(self, qualifies: bool | None) -> BoardFilter:
        """As the records take it."""
        policy = self.policy if self.ranked else None
        return BoardFilter(self.track, policy, self.team, qualifies, self.search)

    @property
    def ranked(self) -> bool:
        """Whether all of it compares."""
        return self.policy != BOTH

    @property
    def narrowed(self) -> bool:
        """Whether only some of the entries of this track and policy are asked for."""
        return self.team is not None or self.search is not None

    @property
    def order(self) -> Order:
        """As the records take it."""
        return Order(self.sort, self.descending)

    @property
    def offset(self) -> int:
        """How many entries come on pages before this."""
        return (self.page - 1) * PAGE_SIZE

    def sorted_by(self, sort: SortKey) -> "BoardQuery":
        """The view sorted by a column: the best first, and the other way round if it was that already."""
        descending = not self.descending if sort == self.sort else sort in _BEST_IS_LARGEST
        return replace(self, sort=sort, descending=descending, page=1)

    def of_team(self, team: str | None) -> "BoardQuery":
        """The view with the entries of one team, or of all."""
        return replace(self, team=team, page=1)

    def of_policy(self, policy: str) -> "BoardQuery":
        """The view with the entries of another policy."""
        return replace(self, policy=policy, page=1)

    def widened(self) -> "BoardQuery":
        """The view with every entry of this track and policy."""
        return replace(self, team=None, search=None, page=1)

    def at_page(self, page: int) -> "BoardQuery":
        """Another page of this view."""
        return replace(self, page=page)

    def address(self, path: str = "/") -> str:
        """Where this view is, on the page or elsewhere."""
        asked: Mapping[str, object] = {
            "track": self.track,
            "policy": self.policy,
            "team": self.team,
            "search": self.search,
            "sort": self.sort,
            "order": "desc" if self.descending else "asc",
            "page": self.page,
        }
        usual = {"sort": "score", "order": "desc" if self.sort in _BEST_IS_LARGEST else "asc", "page": 1}
        query = {name: value for name, value in asked.items() if value is not None and value != usual.get(name)}
        return f"{path}?{urlencode(query)}"


def usual_policy(counts: Counts) -> str:
    """The policy that most entries of a track have: its board opens with it, and forms propose it."""
    return max(POLICIES, key=lambda policy: counts[policy, True] + counts[policy, False])


def board_query(request: Request) -> BoardQuery:
    """What a request asks for. Raises InvalidRequest."""
    query = Query(request.query_params)
    sort = cast(SortKey, query.choice("sort", get_args(SortKey)) or "score")
    order = query.choice("order", ("asc", "desc"))
    return BoardQuery(
        track=query.text("track") or DEFAULT_TRACK,
        policy=query.choice("policy", (*POLICIES, BOTH)),
        team=query.text("team"),
        search=query.text("search", longest=100),
        sort=sort,
        descending=(order == "desc") if order else sort in _BEST_IS_LARGEST,
        page=query.count("page", 1, _MOST_PAGES),
    )
