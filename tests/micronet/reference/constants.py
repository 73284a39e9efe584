"""Assignments with and without words."""

FIRST = 1
"""Of two
lines."""
SECOND = 2

THIRD: int = 3
"""Third."""
