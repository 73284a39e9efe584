"""How fast a stage gets on: by hand."""

from tests.worker.test_reconciler import Clock
from worker.job_run.pace import Pace


def test_a_rate_is_what_was_done_since_the_first_report() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now = 100.0
    assert pace.rate(50, "images") is None  # half a second's work, or an hour's: nobody knows
    clock.now = 102.0
    assert pace.rate(60, "images") == (60 - 50) / 2
    assert pace.rate(60, "images") == 5.0
    clock.now = 110.0
    assert pace.rate(350, "images") == (350 - 50) / 10


def test_two_reports_at_once_say_nothing() -> None:
    pace = Pace(Clock())
    assert pace.rate(0, "images") is pace.rate(10, "images") is None


def test_what_counts_something_else_or_anew_begins_anew() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.rate(0, "images")
    clock.now = 1.0
    assert pace.rate(10, "images") == 10.0
    assert pace.rate(10, "steps") is None
    clock.now = 2.0
    assert pace.rate(12, "steps") == 2.0
    assert pace.rate(0, "steps") is None
    clock.now = 4.0
    assert pace.rate(1, "steps") == 0.5
