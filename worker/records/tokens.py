"""Access tokens: shown once, kept as hashes."""

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, func, insert, select, update

from worker.records.clock import now
from worker.records.database import Database
from worker.records.tables import tokens

_PREFIX = "mn_"


class Tokens:
    """Making, checking and revoking. A token has 256 random bits, so one round of SHA-256 keeps it safe at rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, team: str) -> str:
        """A new token of `team`; this is the only time it is seen."""
        token = _PREFIX + secrets.token_urlsafe(32)
        row = {"team": team, "hash": _hash(token), "created_at": now()}
        there = select(tokens.c.hash).where(tokens.c.hash == row["hash"])

        def work(connection: Connection) -> None:
            if connection.execute(there).first() is None:  # else the connection broke, after the commit
                connection.execute(insert(tokens).values(row))

        self._database.write(work)
        return token

    def team(self, token: str) -> str | None:
        """The team of a valid token, else None."""
        digest = _hash(token)
        query = select(tokens.c.hash, tokens.c.team).where(tokens.c.hash == digest, tokens.c.revoked_at.is_(None))
        row = self._database.read(lambda connection: connection.execute(query).first())
        return row.team if row is not None and hmac.compare_digest(row.hash, digest) else None

    def revoke(self, team: str) -> int:
        """Revoke every token of `team`; how many there were."""
        change = update(tokens).where(tokens.c.team == team, tokens.c.revoked_at.is_(None)).values(revoked_at=now())
        return self._database.write(lambda connection: connection.execute(change).rowcount)

    def revoke_one(self, token: str) -> str | None:
        """Revoke this token; whose it was, or None where it is none that is valid."""
        if (team := self.team(token)) is not None:
            change = update(tokens).where(tokens.c.hash == _hash(token)).values(revoked_at=now())
            self._database.write(lambda connection: connection.execute(change))
        return team

    def count(self) -> dict[str, int]:
        """Valid tokens of each team."""
        query = select(tokens.c.team, func.count().label("tokens")).where(tokens.c.revoked_at.is_(None))
        query = query.group_by(tokens.c.team)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.team: row.tokens for row in rows}

    def were_made(self) -> bool:
        """Whether there ever was a token, valid or revoked by now."""
        query = select(tokens.c.hash).limit(1)
        return self._database.read(lambda connection: connection.execute(query).first()) is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
