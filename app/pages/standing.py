"""Where a score stands on its leaderboard, for its page."""

from dataclasses import dataclass

from app.http.site import Site
from app.pages.board_query import PAGE_SIZE, BoardQuery
from worker.records.scores import Entry
from worker.records.standings import Standing
from worker.records.values import Job, Status


@dataclass(frozen=True, slots=True)
class StandingView:
    """A standing, and the address of its row on the board."""

    standing: Standing
    address: str

    @property
    def gained(self) -> float | None:
        """By how much it is lower than the best of its team before; negative where it is higher."""
        before = self.standing.before
        return None if before is None else before.score - self.standing.entry.score


def standing_view(site: Site, job: Job) -> StandingView | None:
    """The view of a measured score; None for all other jobs."""
    if job.kind != "score" or job.status is not Status.SUCCEEDED:
        return None
    entry = site.services.records.scores.entry(job.id)
    if entry is None:
        return None
    return StandingView(site.services.records.standings.of(entry), _row(entry))


def _row(entry: Entry) -> str:
    """The page of the board that it is on, at its row; those under the floor are on the first, and not all of them."""
    page = 1 if entry.rank is None else (entry.rank - 1) // PAGE_SIZE + 1
    board = BoardQuery(entry.track, entry.policy, page=page).address()
    return f"{board}#under" if entry.rank is None else f"{board}#entry-{entry.job_id}"
