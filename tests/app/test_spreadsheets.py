"""Names of teams and entries are whatever people sent: no spreadsheet works them out, and numbers stay numbers."""

import pytest

from app.spreadsheets import harmless


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_begins_like_a_formula_is_shown_and_not_worked_out(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["blue", "a=1", "1-1", "", " =1", None, -1, 0.5])
def test_anything_else_stays_as_it_is(value: object) -> None:
    assert harmless(value) is value
