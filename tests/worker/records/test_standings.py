"""Where a score stands, on every kind of database."""

import pytest

from tests.worker.records.test_scores import keep, row
from worker.records import Records


def at(second: int) -> str:
    """A time."""
    return f"2026-01-31T12:00:{second:02d}Z"


@pytest.mark.parametrize("team", ["blue", None])
def test_the_best_before_is_the_team_s_own_earlier_and_of_the_same_board(records: Records, team: str | None) -> None:
    others = (
        row(team=team, score=0.05, finished_at=at(1), name="worse"),
        row(team=team, score=0.04, finished_at=at(2), name="best"),
        row(team=team, score=0.01, finished_at=at(9), name="later"),
        row(team=team, score=0.01, finished_at=at(3), policy="challenge"),
        row(team=team, score=0.01, finished_at=at(3), track="imagenet"),
        row(team=team, score=0.01, finished_at=at(3), correct=7999),
        row(team="red", score=0.01, finished_at=at(3)),
    )
    ids = keep(records, row(team=team, score=0.045, finished_at=at(5)), *others)
    entry = records.scores.entry(ids[0])
    assert entry is not None
    standing = records.standings.of(entry)
    assert standing.among == 5
    assert entry.rank == 4
    assert (standing.before and standing.before.name) == ("best" if team else None)


def test_what_jobs_came_to_is_told_of_those_that_measured(records: Records) -> None:
    (measured,) = keep(records, row(score=0.03, correct=8123, team="blue", name="ours"))
    found = records.standings.measured([measured, "0" * 31 + "f" * 1])
    assert {job: (point.score, point.correct, point.name) for job, point in found.items()} == {
        measured: (0.03, 8123, "ours")
    }
    assert records.standings.measured([]) == {}
