"""`submit --fail-worse-than`: what a score is compared with, and exit code 4."""

import json

from app.services import Services
from tests.app.server_commands.running import DIGITS, ending, last, micronet, scored
from worker.records.values import Ending, Status


def test_a_score_that_gets_worse_exits_with_4(file: str, services: Services) -> None:
    worse_than_best = ("--fail-worse-than", "best")
    with ending(services, scored(0.2), scored(0.2), scored(0.3), scored(0.1), scored(0.05, 300)):
        first = micronet("submit", file, *DIGITS, *worse_than_best)
        assert "nothing to be worse than" in first.stderr
        micronet("submit", file, *DIGITS, *worse_than_best)
        worse = micronet("submit", file, *DIGITS, *worse_than_best, "--name", "mine", expected=4)
        assert "the score is 0.3, worse than the 0.2 of the best entry on the board" in worse.stderr
        assert "MicroNet score 0.300000" in worse.stdout
        micronet("submit", file, *DIGITS, *worse_than_best)
        under = micronet("submit", file, *DIGITS, *worse_than_best, "--fail-below-floor", "--json", expected=4)
        error = last(under)
        assert (error["code"], json.loads(under.stdout)["qualifies"]) == ("not-good-enough", False)
        assert "does not qualify" in error["detail"]
        assert "300 of 360 answers are right, which is 83.33%, and 95.00% is needed" in error["detail"]


def test_a_score_is_compared_with_those_of_its_team_policy_and_time(file: str, services: Services) -> None:
    worse_than_best = ("--fail-worse-than", "best")
    with ending(services, scored(0.1), scored(0.2), scored(0.3)):
        micronet("submit", file, *DIGITS, "--team", "red")
        micronet("submit", file, *DIGITS, "--team", "blue", *worse_than_best)
        micronet("submit", file, *DIGITS, "--policy", "challenge", *worse_than_best)
    with ending(services, scored(0.2)):
        worse = micronet("submit", file, *DIGITS, *worse_than_best, expected=4)
    assert "worse than the 0.1" in worse.stderr


def test_a_score_is_compared_with_a_job_that_was_named(file: str, services: Services) -> None:
    with ending(services, scored(0.2), Ending(Status.CANCELED), scored(0.2), scored(0.25)):
        micronet("submit", file, *DIGITS)
        micronet("submit", file, *DIGITS, expected=1)
        canceled, named = [job["id"] for job in json.loads(micronet("jobs", "--json").stdout)]
        micronet("submit", file, *DIGITS, "--fail-worse-than", named)
        assert f"of job {named}" in micronet("submit", file, *DIGITS, "--fail-worse-than", named, expected=4).stderr
    before = micronet("jobs", "--json").stdout
    for other, words in ((canceled, "canceled"), ("0" * 32, "no job"), (named, "policy")):
        options = ("--fail-worse-than", other, "--policy", "challenge")
        assert words in micronet("submit", file, *DIGITS, *options, expected=1).stderr
    assert micronet("jobs", "--json").stdout == before


def test_a_bound_is_a_bound(file: str, services: Services) -> None:
    with ending(services, scored(0.2), scored(0.2)):
        micronet("submit", file, *DIGITS, "--fail-above", "0.2")
        above = micronet("submit", file, *DIGITS, "--fail-above", "0.19", expected=4)
    assert "the score is 0.2, and at most 0.19 is allowed." in above.stderr
