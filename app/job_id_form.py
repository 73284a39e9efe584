"""The form of a job's id: hexadecimal digits, the first few of which may stand for it."""

LENGTH = 32
LEAST = 6
"""Digits of a beginning: fewer would soon be those of several."""
WHOLE = f"^[0-9a-f]{{{LENGTH}}}$"
