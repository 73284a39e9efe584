"""`leaderboard`, for people and for spreadsheets."""

import csv
import io
import json
from typing import get_args

from app.commands.board import COLUMNS, SortKey
from app.services import Services
from tests.app.server_commands.running import DIGITS, ending, micronet, scored
from worker.records.scores import SortKey as ServerSortKey


def test_the_leaderboard_for_people_and_for_spreadsheets(file: str, services: Services) -> None:
    with ending(services, scored(0.2), scored(0.1, 341), scored(0.3)):
        micronet("submit", file, *DIGITS, "--team", "blue", "--name", "=1+1")
        micronet("submit", file, *DIGITS, "--team", "red", "--unquantized")
        micronet("submit", file, *DIGITS)
    ids = [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)][::-1]
    lines = micronet("leaderboard", *DIGITS, "--policy", "report").stdout.splitlines()
    heading = ("rank", "team", "name", "top-1", "margin", "score", "storage", "math", "bits", "sparsity", "policy")
    assert lines[0].split() == [*heading, "date", "job"]
    assert [line.split()[:5] for line in lines[1:]] == [
        ["1", "blue", "=1+1", "97.22%", "+8"],  # 350 of 360 are right, and 342 have to be
        ["2", "job", ids[2], "97.22%", "+8"],
        ["-", "red", "job", ids[1], "94.72%"],
    ]
    assert [line.split()[-1] for line in lines[1:]] == [ids[0], ids[2], ids[1]]
    narrow = micronet("leaderboard", *DIGITS, "--policy", "report", columns=149).stdout
    assert [job_id in narrow for job_id in ids] == [False, True, True], "where it is narrow, names stand for themselves"
    unranked = micronet("leaderboard", *DIGITS).stdout.splitlines()
    assert [line.split()[0] for line in unranked[1:]] == ["-"] * 3, "of two policies none is before the other"
    assert lines[3].split()[5:11] == ["-1", "0.100000", "0.050000", "0.050000", "9/12", "10.0%"]
    assert lines[1].split()[7:9] == ["0.100000", "9/12"]
    assert micronet("leaderboard", *DIGITS, "--sort", "score", "--descending", "--limit", "1").stdout.count("\n") == 2

    def rows(*options: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(micronet("leaderboard", *DIGITS, "--csv", *options).stdout)))

    found = rows("--qualifying", "--policy", "report")
    assert tuple(found[0]) == COLUMNS
    assert [(row["rank"], row["name"], row["score"], row["correct"]) for row in found] == [
        ("1", "'=1+1", "0.2", "350"),
        ("2", "", "0.3", "350"),
    ]
    assert found[0]["margin"] == "8"
    assert [row["team"] for row in rows("--under-floor")] == ["red"]
    assert [row["team"] for row in rows("--team", "blue")] == ["blue"]
    assert rows("--policy", "challenge") == []
    entries = json.loads(micronet("leaderboard", *DIGITS, "--json").stdout)
    assert [entry["score"]["total"] for entry in entries] == [0.2, 0.3, 0.1]
    micronet("leaderboard", *DIGITS, "--json", "--csv", expected=2)
    micronet("leaderboard", expected=2)
    assert "[unknown-track]" in micronet("leaderboard", "--track", "digit", expected=1).stderr


def test_a_board_can_be_sorted_by_all_a_server_sorts_by() -> None:
    assert get_args(SortKey) == get_args(ServerSortKey)
