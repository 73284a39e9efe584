"""Laws of a board's pages: entry after entry they are the board, and none of them has all entries put in order."""

import itertools
import random
from typing import get_args

import pytest
from sqlalchemy import delete, event

from tests.worker.records.plans import plans_of
from tests.worker.records.test_scores import keep, row
from worker.errors import JobNotFound
from worker.records import Records
from worker.records.board_filters import BoardFilter
from worker.records.scores import Order, SortKey
from worker.records.tables import scores

BOARD = BoardFilter("cifar100", "report")
VIEWS = (BOARD, BoardFilter("cifar100", text="RED"), BoardFilter("cifar100", team="red", qualifies=True))


@pytest.fixture
def crowd(records: Records) -> list[str]:
    """Entries with ties in everything, and without what need not be there."""
    chance = random.Random(0)
    rows = [
        row(
            correct=chance.randint(7998, 8002),
            score=chance.randint(1, 4) / 10,
            storage_score=chance.random() / 3,
            math_score=chance.choice([0.1, 0.2]),
            nonzero=chance.randint(0, 3),
            parameters=chance.choice([0, 3, 7]),
            policy=chance.choice(["report", "report", "challenge"]),
            team=chance.choice([None, "blue", "red"]),
            name=chance.choice([None, "a", "B", "é"]),
            param_bits=chance.choice([None, 4, 9]),
            mul_bits=chance.choice([None, 4]),
            finished_at=f"2026-01-31T12:00:00.00{chance.randint(0, 3)}Z",
        )
        for _ in range(60)
    ]
    return keep(records, *rows)


@pytest.mark.usefixtures("crowd")
def test_one_after_the_other_they_are_the_board(records: Records) -> None:
    for wanted, key, descending in itertools.product(VIEWS, get_args(SortKey), [False, True]):
        order = Order(key, descending)
        whole, total = records.scores.entries(wanted, order, 0, 100)
        assert len(whole) == total > 10
        for place in range(0, total, 5):
            following = records.scores.entries(wanted, order, 0, 7, after=whole[place].job_id)
            assert following == (whole[place + 1 : place + 8], total)
        assert records.scores.entries(wanted, order, 2, 3, after=whole[0].job_id)[0] == whole[3:6]


def test_an_entry_of_another_board_leads_nowhere(records: Records, crowd: list[str]) -> None:
    here = {entry.job_id for entry in records.scores.page(BOARD, Order(), 0, 100)}
    (elsewhere, *_) = set(crowd) - here
    for after in (elsewhere, "f" * 32):
        with pytest.raises(JobNotFound, match="no entry among these"):
            records.scores.entries(BOARD, Order(), 0, 10, after=after)


@pytest.mark.usefixtures("crowd")
def test_every_rank_is_told_where_entries_go_meanwhile(records: Records) -> None:
    """On PostgreSQL each query sees what was committed before it: what has gone since the first one is left out."""
    order, gone = Order("name"), []

    def go(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not gone and "scores" in statement:
            gone.append(best)
            records.database.write(lambda connection: connection.execute(delete(scores).where(scores.c.job_id == best)))

    before = records.scores.page(BOARD, order, 0, 100)
    best = next(entry.job_id for entry in before if entry.rank == 1)
    event.listen(records.database.engine, "after_cursor_execute", go)
    try:
        shown = records.scores.page(BOARD, order, 0, 100)
    finally:
        event.remove(records.database.engine, "after_cursor_execute", go)
    after = records.scores.page(BOARD, order, 0, 100)
    assert gone
    assert len(after) == len(before) - 1
    assert shown == (before if records.database.is_sqlite else after)


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("wanted", [BOARD, BoardFilter("cifar100"), BoardFilter("cifar100", qualifies=True)])
def test_a_board_by_merit_and_its_ranks_are_read_in_order(records: Records, wanted: BoardFilter) -> None:
    """A track may have fifty thousand entries: the first page of them is the beginning of an index."""
    first = records.scores.page(wanted, Order(), 0, 1)[0].job_id
    for ask in (lambda: records.scores.entries(wanted, Order(), 0, 10), lambda: records.scores.entry(first)):
        plans = [plan for plan in plans_of(records, ask) if "job_id=" not in plan]
        assert not [plan for plan in plans if "TEMP B-TREE" in plan or "Sort" in plan]
    assert "_merit" in plans_of(records, lambda: records.scores.page(wanted, Order(), 0, 10))[0]
