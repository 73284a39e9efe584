"""What spreadsheets make of comma-separated values: a text that begins like a formula is worked out."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula as one that it shows; anything else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
