"""Progress for people: one line per stage, with rate and remaining time."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing before the first unit is done."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed else "", style="cyan")


class ProgressBar:
    """A `micronet.progress.Progress` on standard error, which leaves nothing behind when it is done.

    Where that is no terminal nothing is shown: a log needs no bar, and no empty lines where one was.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task("starting", total=None, unit="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, index: int, count: int) -> None:
        """A new line for stage `name`."""
        self._bars.remove_task(self._task)
        self._task = self._bars.add_task(f"{name} ({index}/{count})", total=None, unit="")

    def advance(self, done: int, total: int, unit: str) -> None:
        """Move the bar."""
        self._bars.update(self._task, completed=done, total=total, unit=unit)
