"""One figure of a benchmark, and how it is printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

HEADINGS = "| measured | figure | bound | holds |\n| --- | --- | --- | --- |"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured and, where it is to hold, against which bound. `holds`: None where there is none."""

    what: str
    measured: str
    bound: str = ""
    holds: bool | None = None

    def row(self) -> str:
        """A row of the Markdown table."""
        answer = {None: "", True: "yes", False: "**NO**"}[self.holds]
        return f"| {self.what} | {self.measured} | {self.bound} | {answer} |"


def median_and_worst(seconds: Sequence[float]) -> str:
    """Of times in seconds."""
    return f"median {median(seconds):.3f} s, worst {max(seconds):.3f} s"
