"""A new kind of job is a request, a function and a row in the table: all that is made of the table works for it."""

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_ALSO = (
    "survive_the_way",
    "mean_what_they_mean",
    "says_nothing",
    "both_places",
    "called_the_same",
    "choice_is_offered",
)
"""Tests of all forms that it has to pass, too."""


def test_one_more_row_is_all_that_a_new_kind_needs() -> None:
    chosen = " or ".join(f"({name} and probe)" for name in _ALSO)
    files = map(str, (_HERE / "laws_of_a_new_kind.py", _HERE / "pages" / "test_forms.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.app.a_new_kind"]
    ran = subprocess.run(
        [*command, *files, "-k", f"laws or {chosen}"],
        cwd=_HERE.parents[1],
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:]
    assert f"{4 + len(_ALSO)} passed" in ran.stdout
