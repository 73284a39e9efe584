"""One more kind of job, as somebody would add it: settings, a result, a function, and a row in the table.

With `-p tests.app.a_new_kind` a run of pytest has it from the start, as if it stood in the table.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from micronet.contract import Augmentation, JobSettings, Value
from micronet.jobs import JOBS, Context, Job

KIND = "probe"


class Needle(Value):
    """What finds it.

    depth   how deep it goes, in layers
    seed    where it goes in
    points  what is done at each of its points
    """

    depth: Annotated[int, Field(ge=1, le=9)] = 3
    seed: int = 0
    points: tuple[Augmentation, ...] = ()


class ProbeSettings(JobSettings):
    """What to look for.

    share         how much of it
    way           which way round
    quietly       whether nobody is told
    words         what to look for
    needle        what it is looked for with
    by_layer      another needle for single layers
    augmentation  what is done to it; null: nothing
    seed          what is drawn
    """

    share: Annotated[float, Field(gt=0, lt=1)]
    way: Literal["up", "down"] = "up"
    quietly: bool = False
    words: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+$")], ...] = ()
    needle: Needle = Needle()
    by_layer: dict[str, Needle] = Field(default_factory=dict)
    augmentation: Augmentation | None = None
    seed: int = 0


class ProbeResult(Value):
    """What there was.

    found  how often
    """

    found: int


def probe(settings: ProbeSettings, checkpoint: Path | None, context: Context) -> ProbeResult:
    """Nothing is there but what was said."""
    return ProbeResult(found=len(settings.words))


_ROW = Job(ProbeSettings, ProbeResult, entry=f"{__name__}:probe", lane="short", summary="Look for words")
_table: dict[str, Any] = JOBS  # type: ignore[assignment]
_table[KIND] = _ROW
