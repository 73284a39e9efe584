"""The time of day, for people to read and for ages in days. No lease rests on it: clocks differ, and go back."""

from datetime import UTC, datetime, timedelta


def now() -> str:
    """ISO 8601 in UTC with milliseconds, as in 2026-01-31T12:00:00.123Z."""
    return ago(days=0)


def ago(days: float) -> str:
    """The time so many days ago, likewise."""
    then = datetime.now(UTC) - timedelta(days=days)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
