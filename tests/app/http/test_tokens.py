"""What is asked of the database about tokens, and how often."""

import asyncio
import time

import pytest

from app.http.threads import Threads
from app.http.tokens import KnownTokens
from app.services import Services
from worker.errors import Unavailable


async def asked_at_once(known: KnownTokens, times: int, *tokens: str) -> list[str | BaseException | None]:
    return await asyncio.gather(*(known.team(token) for token in tokens * times), return_exceptions=True)


@pytest.mark.parametrize("away", [False, True])
def test_many_who_come_with_one_token_at_once_ask_once(
    services: Services, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """Otherwise a few hundred streams would take every thread of the database while that is away."""
    tokens, threads = services.records.tokens, Threads("database", 2)
    first, second = tokens.create("blue"), tokens.create("red")
    team, asked = tokens.team, list[str]()

    def slowly(token: str) -> str | None:
        asked.append(token)
        time.sleep(0.1)
        if away:
            raise Unavailable("the database does not answer")
        return team(token)

    monkeypatch.setattr(tokens, "team", slowly)
    known = KnownTokens(tokens, threads)
    answers = asyncio.run(asked_at_once(known, 50, first, second, "mn_" + "x" * 43))
    assert len(asked) == 3
    if away:
        assert {type(answer) for answer in answers} == {Unavailable}
    else:
        assert answers == ["blue", "red", None] * 50
    asyncio.run(asked_at_once(known, 1, first, "mn_" + "x" * 43))
    assert len(asked) == (5 if away else 4), "what is no token, and what nobody knows, is asked again"
    threads.close()


def test_who_goes_away_takes_the_answer_from_nobody(services: Services) -> None:
    token = services.records.tokens.create("blue")
    threads = Threads("database", 1)
    known = KnownTokens(services.records.tokens, threads)

    async def ask() -> str | None:
        first, second = (asyncio.create_task(known.team(token)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(ask()) == "blue"
    threads.close()
