"""What a score must not be, for those who let a machine decide: a bound, an earlier score, the floor."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.answers import answer_of
from app.client import Client
from app.errors import NotGoodEnough
from app.job_ids import whole_id
from micronet.contract import JobSettings, ScoreResult, ScoreSettings
from micronet.errors import SettingsError

BEST = "best"
_DIGITS = ".9g"


@dataclass(frozen=True, slots=True)
class Standard:
    """An earlier score. `title` says whose, in a sentence."""

    title: str
    score: float
    qualifies: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Lower scores are better. None and false ask nothing.

    above         the highest score that is good enough
    worse_than    id of the job whose score is good enough; or "best", the best entry of the leaderboard that qualifies,
                  by the same policy, from before the job: the team's, or everybody's where the job is for no team
    below_floor   whether a score that does not qualify is not good enough
    """

    above: float | None = None
    worse_than: str | None = None
    below_floor: bool = False

    def __bool__(self) -> bool:
        return self != Limits()

    def check_apply(self, wanted: JobSettings) -> None:
        """Raise SettingsError unless a job with these settings ends with what is limited here."""
        if self and not isinstance(wanted, ScoreSettings):
            raise SettingsError("--fail-above, --fail-worse-than and --fail-below-floor are for --kind score.")
        if self.above is not None and not math.isfinite(self.above):
            raise SettingsError(f"--fail-above {self.above}: a number is needed that a score can be higher than.")
        if isinstance(wanted, ScoreSettings) and not wanted.evaluate and (self.below_floor or self.worse_than):
            raise SettingsError(
                "without accuracy nothing qualifies: leave --no-evaluate out, or use --fail-above alone."
            )

    def named_standard(self, client: Client, wanted: JobSettings) -> Standard | None:
        """The named job, looked at before anything is sent. Raises SettingsError, ServerError, AnotherVersion."""
        if self.worse_than in (None, BEST):
            return None
        assert isinstance(wanted, ScoreSettings)
        return _standard_of(client.job(whole_id(client, self.worse_than or "")), wanted)

    def best_standard(self, client: Client, job: dict[str, Any]) -> Standard | None:
        """The best entry, if that was asked for and there is one. Raises ServerError."""
        return _best_before(client, job) if self.worse_than == BEST else None

    def check(self, result: ScoreResult, standard: Standard | None) -> None:
        """Raise NotGoodEnough, with everything the score falls short of."""
        if shortcomings := list(self._shortcomings(result, standard)):
            raise NotGoodEnough("\n".join(shortcomings))

    def _shortcomings(self, result: ScoreResult, standard: Standard | None) -> Iterator[str]:
        score = result.score.total
        if self.above is not None and score > self.above:
            yield f"the score is {score:{_DIGITS}}, and at most {self.above:{_DIGITS}} is allowed."
        if standard is not None and standard.qualifies and not result.qualifies:
            yield f"the network does not qualify, and {standard.title} does."
        elif standard is not None and score > standard.score and standard.qualifies == bool(result.qualifies):
            yield f"the score is {score:{_DIGITS}}, worse than the {standard.score:{_DIGITS}} of {standard.title}."
        if self.below_floor and not result.qualifies and result.accuracy is not None:
            answers = f"{result.accuracy.correct:,} of {result.accuracy.total:,} answers are right"
            yield f"{answers}, which is {result.accuracy.top1:.2%}, and {result.threshold:.2%} is needed to qualify."


def score_of(job: dict[str, Any]) -> ScoreResult:
    """The score of a job that succeeded with one. Raises AnotherVersion."""
    result = answer_of(job)
    assert isinstance(result, ScoreResult)
    return result


def _standard_of(job: dict[str, Any], wanted: ScoreSettings) -> Standard:
    if job["kind"] != "score" or job["status"] != "succeeded":
        raise SettingsError(f"--fail-worse-than: {job['id']} is a {job['kind']} job that is {job['status']}, no score.")
    result = score_of(job)
    for name in ("track", "policy"):
        theirs, ours = getattr(result, name), getattr(wanted, name)
        if theirs != ours:
            raise SettingsError(f"--fail-worse-than: {job['id']} was scored with {name} {theirs}, this with {ours}.")
    return Standard(f"job {job['id']}", result.score.total, bool(result.qualifies))


def _best_before(client: Client, job: dict[str, Any]) -> Standard | None:
    settings, team = job["settings"], job["team"]
    for entry in client.leaderboard(settings["track"], policy=settings["policy"], team=team, qualifies=True):
        if entry["job"] != job["id"] and entry["finished_at"] <= job["created_at"]:
            whose = "on the board" if team is None else f"of {team}"
            title = f"the best entry {whose} ({entry['name'] or 'job ' + entry['job']})"
            return Standard(title, entry["score"]["total"], qualifies=True)
    return None
