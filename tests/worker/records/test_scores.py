"""Laws of the leaderboard: how it is sorted, searched, drawn, and which entries no other beats."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any, get_args

import pytest
import sqlalchemy

from micronet.contract import NetworkWidths, ScoreResult
from tests.app.http.results import score_text
from tests.worker.records.making import accept
from worker.records import Records
from worker.records.board_filters import BoardFilter
from worker.records.points import Point
from worker.records.score_rows import searched
from worker.records.scores import Entry, Order, SortKey
from worker.records.tables import scores
from worker.records.values import Ending, Status

ALL = BoardFilter("cifar100")
BY_SCORE = Order()
NUMBERS = count()


def row(**changes: Any) -> dict[str, Any]:
    """A score that qualifies, if its `correct` answers do."""
    number = next(NUMBERS)
    values = {
        "job_id": f"{number:032x}",
        "track": "cifar100",
        "policy": "report",
        "team": None,
        "name": None,
        "sha256": "0" * 64,
        "correct": 8000,
        "images": 10_000,
        "score": 0.05,
        "storage_score": 0.02,
        "math_score": 0.03,
        "parameters": 100,
        "nonzero": 100,
        "param_bits": 9,
        "mul_bits": 12,
        "scorer_version": "0.1.0",
        "finished_at": f"2026-01-31T12:00:00.{number % 1000:03d}Z",
    } | changes
    return {"qualifies": values["correct"] >= 8000, "searched": searched(values["team"], values["name"]), **values}


def keep(records: Records, *rows: dict[str, Any]) -> list[str]:
    """Put these on the board; their ids."""
    records.database.write(lambda connection: connection.execute(sqlalchemy.insert(scores), list(rows)))
    return [one["job_id"] for one in rows]


def board(records: Records, wanted: BoardFilter = ALL, order: Order = BY_SCORE) -> list[Entry]:
    entries, total = records.scores.entries(wanted, order, 0, 1000)
    assert total == len(entries)
    return list(entries)


def ids(entries: tuple[Entry, ...] | list[Entry]) -> list[str]:
    return [entry.job_id for entry in entries]


@pytest.mark.parametrize(
    ("key", "ordered"),
    [
        ("margin", [{"correct": 7999}, {"correct": 8000}, {"correct": 8001}]),
        ("top1", [{"correct": 7999}, {"correct": 8000}, {"correct": 8001}]),
        ("bits", [{"param_bits": 4, "mul_bits": 32}, {"param_bits": 9, "mul_bits": 4}, {"param_bits": 9}]),
        ("sparsity", [{"parameters": 0, "nonzero": 0, "score": 0.04}, {}, {"nonzero": 99}, {"nonzero": 1}]),
        ("policy", [{"policy": "challenge"}, {"policy": "report"}]),
        ("version", [{"scorer_version": "0.1.0"}, {"scorer_version": "0.2.0"}]),
    ],
)
def test_every_key_sorts_both_ways(records: Records, key: SortKey, ordered: list[dict[str, Any]]) -> None:
    rows = [row(**changes) for changes in ordered]
    keep(records, *random.Random(0).sample(rows, len(rows)))
    expected = [one["job_id"] for one in rows]
    assert ids(board(records, order=Order(key))) == expected
    if key != "sparsity":  # of which two are equal there, and in order of merit either way
        assert ids(board(records, order=Order(key, descending=True))) == expected[::-1]


@pytest.mark.parametrize("key", get_args(SortKey))
@pytest.mark.parametrize("descending", [False, True])
def test_equals_are_in_order_of_merit_and_what_is_unknown_comes_last(
    records: Records, key: SortKey, descending: bool
) -> None:
    unknown = {"team": None, "name": None, "param_bits": None, "mul_bits": None}
    known = {"team": "a", "name": "b", "finished_at": "2026-01-31T12:00:00.000Z"}
    first, under, second, lacking = row(**known), row(**known), row(**known), row(**known | unknown)
    under["qualifies"] = False
    keep(records, first, under, second, lacking)
    last = [under, lacking] if key in ("team", "name", "bits") else [lacking, under]
    expected = [first, second, *last]
    assert ids(board(records, order=Order(key, descending))) == [one["job_id"] for one in expected]


def test_by_score_those_that_qualify_come_first_in_either_direction(records: Records) -> None:
    first, second, low, lower = (
        row(score=0.02),
        row(score=0.03),
        row(score=0.01, correct=7999),
        row(score=0.04, correct=1),
    )
    keep(records, low, second, lower, first)
    for descending, expected in ((False, [first, second, low, lower]), (True, [second, first, lower, low])):
        assert ids(board(records, order=Order("score", descending))) == [one["job_id"] for one in expected]


def test_sparsity_is_the_share_of_zeros(records: Records) -> None:
    keep(records, row(parameters=200, nonzero=50), row(parameters=0, nonzero=0))
    assert [entry.sparsity for entry in board(records)] == [0.75, 0.0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BLEU", ["a", "c"]),
        ("équipe", ["a"]),
        ("50%", ["b"]),
        ("%", ["b"]),
        ("_", ["b"]),
        ("5_", []),
        ("/", ["c"]),
        ("\\", []),
        ("strasse", ["c"]),
        ("bleuenet", []),  # across team and name
        ("'; DROP TABLE scores; --", []),
    ],
)
def test_a_search_finds_team_and_name_as_they_are_written(records: Records, text: str, found: list[str]) -> None:
    names = {"a": ("ÉQUIPE BLEUE", "net"), "b": (None, "50%_sparse"), "c": ("x", "Bleu/STRAßE"), "d": (None, None)}
    rows = {key: row(team=team, name=name) for key, (team, name) in names.items()}
    keep(records, *rows.values())
    wanted = BoardFilter("cifar100", text=text)
    expected = [rows[key]["job_id"] for key in found]
    assert ids(board(records, wanted)) == [point.job_id for point in records.scores.front(wanted)] == expected
    assert [point.job_id for point in records.scores.points(wanted)] == expected


def test_a_search_changes_no_rank(records: Records) -> None:
    keep(records, row(score=0.01, team="red"), row(score=0.02, team="blue"))
    (found,) = board(records, BoardFilter("cifar100", text="blue"))
    assert found.rank == 2


def test_scores_that_jobs_measured_are_found(records: Records) -> None:
    job = accept(records, team="Équipe", name="Net")
    claimed = records.leases.claim("w", ("short",))
    assert claimed is not None
    records.leases.finish(claimed, Ending(Status.SUCCEEDED, score_text(350, 0.1)))
    for text in ("éQUIPE", "nET"):
        assert ids(board(records, BoardFilter("digits", text=text))) == [job.id]


@pytest.mark.parametrize(
    ("widths", "listed"), [(NetworkWidths(param_bits=12, mul_bits=7), (12, 7)), (None, (None, None))]
)
def test_widths_are_those_of_the_result(
    records: Records, widths: NetworkWidths | None, listed: tuple[int | None, int | None]
) -> None:
    job = accept(records, settings='{"bits": null}')
    claimed = records.leases.claim("w", ("short",))
    assert claimed is not None
    result = ScoreResult.model_validate_json(score_text(350, 0.1)).model_copy(update={"widths": widths})
    records.leases.finish(claimed, Ending(Status.SUCCEEDED, result.model_dump_json()))
    entry = records.scores.entry(job.id)
    assert entry is not None
    assert (entry.param_bits, entry.mul_bits) == listed


def beats(one: Entry, other: Entry) -> bool:
    """Whether `one` is as good as the other in both, and better in one."""
    as_good = one.correct >= other.correct and one.score <= other.score
    return as_good and (one.correct > other.correct or one.score < other.score)


def crowds() -> Iterator[list[dict[str, Any]]]:
    """Many entries: with ties in accuracy, in score and in both, of both policies, over and under the floor."""
    for seed in range(4):
        chance = random.Random(seed)
        yield [
            row(
                correct=chance.randint(7995, 8005),
                score=chance.randint(1, 12) / 100,
                policy=chance.choice(["report", "challenge"]),
                team=chance.choice([None, "blue", "red"]),
            )
            for _ in range(60)
        ]


@pytest.mark.parametrize(
    "wanted",
    [
        ALL,
        BoardFilter("cifar100", policy="challenge"),
        BoardFilter("cifar100", qualifies=True),
        BoardFilter("cifar100", qualifies=False, team="blue"),
        BoardFilter("cifar100", text="RED", qualifies=True),
        BoardFilter("digits"),
    ],
)
def test_the_front_is_what_no_other_entry_beats(records: Records, wanted: BoardFilter) -> None:
    sizes = []
    for crowd in crowds():
        keep(records, *crowd)
        entries = board(records, wanted)
        expected = [entry for entry in entries if not any(beats(other, entry) for other in entries)]
        expected.sort(key=lambda entry: (entry.score, not entry.qualifies, entry.finished_at, entry.job_id))
        front = records.scores.front(wanted)
        assert list(front) == [
            Point(e.job_id, e.correct, e.images, e.score, e.qualifies, e.policy, e.name, e.team) for e in expected
        ]
        sizes.append(len(expected))
        records.database.write(lambda connection: connection.execute(sqlalchemy.delete(scores)))
    assert (max(sizes) > 1) == (wanted.track == "cifar100")


def test_answers_are_compared_as_shares_of_the_images(records: Records) -> None:
    few, many = keep(records, row(correct=9, images=10, score=0.01), row(correct=8999, images=10_000, score=0.02))
    assert [point.job_id for point in records.scores.front(ALL)] == [few]
    assert set(ids(board(records))) == {few, many}


def test_ranks_are_the_same_however_a_board_is_asked_for(records: Records) -> None:
    """Each is one more than how many of the same policy qualify and are better: lower, or as low and earlier."""
    keep(records, *next(crowds()))
    whole = [e for e in records.scores.page(BoardFilter("cifar100", "report"), BY_SCORE, 0, 1000) if e.qualifies]
    ranks = {entry.job_id: 1 + sum(_merit(better) < _merit(entry) for better in whole) for entry in whole}
    for qualifies, text in itertools.product([None, True, False], [None, "RED"]):
        wanted = BoardFilter("cifar100", "report", None, qualifies, text)
        counts = records.scores.counts(replace(wanted, policy=None))
        for key, descending in itertools.product(get_args(SortKey), [False, True]):
            order = Order(key, descending)
            entries, total = records.scores.entries(wanted, order, 0, 1000)
            assert total == len(entries) == counts["report", True] + counts["report", False] > 0
            assert [entry.rank for entry in entries] == [ranks.get(entry.job_id) for entry in entries]
            pages = [records.scores.page(wanted, order, offset, 12) for offset in range(0, total, 12)]
            assert [entry for page in pages for entry in page] == list(entries)


def _merit(entry: Entry) -> tuple[float, str, str]:
    return entry.score, entry.finished_at, entry.job_id


def test_points_are_the_best_entries_and_no_more_than_asked(records: Records) -> None:
    rows = [row(score=0.03), row(score=0.01, correct=7000), row(score=0.02, correct=8100)]
    worst, under, best = keep(records, *rows)
    assert records.scores.points(ALL, most=2) == (
        Point(best, 8100, 10_000, 0.02, True, "report"),
        Point(worst, 8000, 10_000, 0.03, True, "report"),
    )
    assert [point.job_id for point in records.scores.points(ALL)] == [best, worst, under]
    assert [point.job_id for point in records.scores.points(BoardFilter("cifar100", qualifies=False))] == [under]


def test_an_entry_has_its_rank_on_its_own_track_and_policy(records: Records) -> None:
    own, first, elsewhere, other, under = keep(
        records,
        row(score=0.02, team="a"),
        row(score=0.01, team="b"),
        row(score=0.001, track="digits"),
        row(score=0.001, policy="challenge"),
        row(score=0.001, correct=7000),
    )
    ranks = {job_id: records.scores.entry(job_id) for job_id in (own, first, elsewhere, other, under)}
    assert [entry and entry.rank for entry in ranks.values()] == [2, 1, 1, 1, None]
    assert ranks[own] == next(entry for entry in board(records, BoardFilter("cifar100", "report")) if entry.rank == 2)
    assert records.scores.entry("f" * 32) is None
