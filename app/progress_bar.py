"""Progress for people: one line per stage, with rate and remaining time."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from app.printable import on_one_line


class _Rate(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing before the first unit is done."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed else "", style="cyan")


class _Done(MofNCompleteColumn):
    """How much of how much is done, once anything is known of either."""

    def render(self, task: Task) -> Text:
        """`3200/10000`, or nothing."""
        return super().render(task) if task.completed or task.total is not None else Text()


class ProgressBar:
    """A `micronet.progress.Progress` on standard error, which leaves nothing behind when it is done.

    Where that is no terminal nothing is shown: a log needs no bar, and no empty lines where one was.
    """

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            _Done(),
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
        self.waiting(f"{name} ({index}/{count})")

    def waiting(self, text: str) -> None:
        """A new line for what is no stage, or has none yet."""
        self._bars.remove_task(self._task)
        self._task = self._bars.add_task(escape(on_one_line(text)), total=None, unit="")

    def advance(self, done: int, total: int, unit: str) -> None:
        """Move the bar."""
        self._bars.update(self._task, completed=done, total=total, unit=unit)

    def say(self, text: str) -> None:
        """A line that stays, where there is no bar too."""
        self._bars.console.print(Text(on_one_line(text)), soft_wrap=True)
