"""Which entries of a leaderboard are asked for, and among which of them they rank."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from worker.records.tables import scores


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Which entries; None asks nothing. Ranks are those of the track, policy and team asked for.

    `text`: what team or name must contain, in letters of either case.
    """

    track: str
    policy: str | None = None
    team: str | None = None
    qualifies: bool | None = None
    text: str | None = None


def of_board(wanted: BoardFilter) -> list[ColumnElement[bool]]:
    """Among which entries ranks are given."""
    asked = {scores.c.track: wanted.track, scores.c.policy: wanted.policy, scores.c.team: wanted.team}
    return [column == value for column, value in asked.items() if value is not None]


def asked_for(wanted: BoardFilter) -> list[ColumnElement[bool]]:
    """Which of these are asked for."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.qualifies is not None:
        conditions.append(scores.c.qualifies == wanted.qualifies)
    if wanted.text is not None:
        conditions.append(scores.c.searched.contains(wanted.text.casefold(), autoescape=True))
    return conditions
