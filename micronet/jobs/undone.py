"""What is said of a round that was undone, of whichever stage."""

from collections.abc import Iterator

from micronet.contract import PruningReport, SparsifyingReport


def undone_warnings(report: PruningReport | SparsifyingReport) -> Iterator[str]:
    """Which round came apart, and what was said of it."""
    if report.came_apart is not None:
        left = f"those before it are kept ({report.kept_rounds})" if report.kept_rounds else "the network is unchanged"
        yield f"round {len(report.rounds) + 1} came apart and was undone; {left}. What it said: {report.came_apart}"
