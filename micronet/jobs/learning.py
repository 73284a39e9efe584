"""What the jobs that learn from images have in common: their network, their images, and the measuring at their end."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from micronet.analysis.counts import count
from micronet.architectures import find_architecture
from micronet.architectures.load import create_network
from micronet.contract import Accuracy, Distillation, LearningSettings, Scorer, Training, distillations
from micronet.data.datasets import open_split
from micronet.errors import AlreadyQuantized, SettingsError
from micronet.evaluation.accuracy import evaluate
from micronet.evaluation.device import choose_device
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.journals import opened_journal, origin
from micronet.jobs.network import check_fits, read_network
from micronet.jobs.quantization import normalized
from micronet.jobs.result import scorer
from micronet.jobs.table import JOBS
from micronet.network_file import to_bytes
from micronet.progress import Silence
from micronet.tracks import Track, track
from micronet.training.distributed import SharedJournal, is_first, join, own_device
from micronet.training.task import Task, accuracy
from micronet.transformation.prepare import prepare

How = TypeVar("How", bound=Training)
Settings = TypeVar("Settings", bound=LearningSettings)
Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class Lesson:
    """A network, what it learns from, and what it is measured on in the end (None: it is not measured)."""

    graph: Graph
    track: Track
    task: Task
    test: Inputs | None
    dataset_sha256: str
    warnings: tuple[str, ...]

    def measured(self, graph: Graph, context: Context) -> Accuracy | None:
        """Top-1 of `graph` on the test set."""
        if self.test is None:
            return None
        test = self.test
        return self.task.world.from_first(lambda: accuracy(graph, test, self.task.device, context.progress.advance))

    def teacher(self, settings: LearningSettings) -> Accuracy | None:
        """Top-1 on the held-out images of the teacher that `settings` name; None where there is none, or are several.

        It is shown them with its own normalization; an image that it gives NaN or infinity for counts as wrong.
        """
        named = list(distillations(settings))
        networks = [(one.teacher, one.architecture, one.normalize) for one in named]
        if not named or any(one != networks[0] for one in networks):
            return None
        by, task = named[0], self.task
        own = by.normalize or task.holdout
        shown = replace(task.holdout, mean=own.mean, std=own.std)
        measured = task.world.from_first(lambda: evaluate(task.teacher(by), shown, task.device, count_infinite=True))
        return measured.accuracy

    def scorer(self) -> Scorer:
        """What it takes to get the numbers again."""
        return scorer(str(self.task.device), self.task.seed, self.track.dataset, self.dataset_sha256)


def taught(
    kind: str,
    settings: Settings,
    checkpoint: Path | None,
    context: Context,
    teach: Callable[[Graph, Settings, Task], tuple[Graph, Report]],
    *,
    warnings: Callable[[Report], Iterable[str]] = lambda _: (),
) -> tuple[Report, dict[str, Any]]:
    """A job whose one stage teaches a network: what the stage reports, and what the job answers beside that.

    `warnings` are of a report. Raises what `begin`, `teach` and `write_artifact` raise.
    """
    context = own(context)
    stages = Stages.asked(context.progress, **{"read": True, kind: True, "evaluate": settings.evaluate, "write": True})
    stages.begin("read")
    lesson = begin(settings, checkpoint, context)
    stages.begin(kind)
    graph, report = teach(lesson.graph, settings, lesson.task)
    if settings.evaluate:
        stages.begin("evaluate")
    accuracy, teacher = lesson.measured(graph, context), lesson.teacher(settings)
    stages.begin("write")
    return report, {
        "track": lesson.track.name,
        "accuracy": accuracy,
        "teacher": teacher,
        "artifact": write_artifact(graph, JOBS[kind].artifact, context),
        "scorer": lesson.scorer(),
        "warnings": (*lesson.warnings, *warnings(report)),
    }


def own(context: Context) -> Context:
    """The context of this process: of several that work together, the first alone writes files and says how far it is.

    The journal is read and written by it as well; the others hear what it read (`SharedJournal`, in `begin`).
    """
    return context if is_first() else replace(context, progress=Silence(), outputs=None, journal=None)


def begin(settings: LearningSettings, checkpoint: Path | None, context: Context, *, is_written: bool = True) -> Lesson:
    """The file's network, or a fresh one of the architecture, and images as the settings divide them.

    `is_written`: what becomes of the network is counted and written in the end. Raises SettingsError for what
    contradicts itself, the network or the journal, AlreadyQuantized for a file with grids of its own, DataError for
    images that are not there, what reading raises, and what `check_can_be_written` does.
    """
    chosen = track(settings.track, context.data_dir)
    device = own_device(choose_device(context.device))
    graph, warnings = starting_network(settings, checkpoint)
    check_fits(graph, chosen)
    if is_written:
        check_can_be_written(graph)
    whole = open_split(chosen, "train", context.data_dir)
    apart = round(settings.holdout * len(whole))
    if not 1 <= apart < len(whole):
        raise SettingsError(f"holdout {settings.holdout:g} of {len(whole)} training images leaves one part empty.")
    holdout, train = whole.divided(apart, settings.seed)
    if settings.train_images is not None:
        train = train.subset(settings.train_images, settings.seed)
    test = None
    if settings.evaluate:
        test = normalized(settings.normalize, chosen, open_split(chosen, "test", context.data_dir))
    world = join(device)
    task = Task(
        train=normalized(settings.normalize, chosen, train),
        holdout=normalized(settings.normalize, chosen, holdout),
        device=device,
        seed=settings.seed,
        journal=SharedJournal(world, opened_journal(context, origin(settings, checkpoint, chosen, whole.sha256))),
        advance=context.progress.advance,
        teacher=lambda distillation: _teacher(distillation, chosen, context),
        world=world,
    )
    return Lesson(graph, chosen, task, test, whole.sha256, (*warnings, *whole.warnings))


def starting_network(settings: LearningSettings, checkpoint: Path | None) -> tuple[Graph, tuple[str, ...]]:
    """Graph of the file, or of a freshly initialised network, with batch norms as they are."""
    if checkpoint is not None:
        graph, warnings = read_network(checkpoint, settings.architecture, None)
        graph = prepare(graph, fuse=False)
        check_in_floating_point(graph)
        return graph, warnings
    if settings.architecture is None:
        raise SettingsError(
            'there is nothing to start from: send a checkpoint, or name an architecture, as in {"name": "digits"}.'
        )
    name, options = settings.architecture.name, settings.architecture.options
    network = create_network(name, options, settings.seed)
    with torch.no_grad():
        return prepare(capture(network, find_architecture(name).parse(options).input_shape), fuse=False), ()


def of_fresh(how: How) -> How:
    """The training of a network that is made for it: whatever is zero there is where it starts, and none to hold."""
    return how.model_copy(update={"hold_zeros": False})


def check_can_be_written(graph: Graph) -> None:
    """Raise UnknownOperation for what cannot be counted, NotWritable for what no file can hold: before it has learned.

    Only numbers change while a network learns, and no number makes the difference.
    """
    count(graph)
    to_bytes(graph)


def check_in_floating_point(graph: Graph) -> None:
    """Raise AlreadyQuantized where weights lie on grids: they would leave them with the first step."""
    if graph.formats:
        raise AlreadyQuantized(
            f"{len(graph.formats)} weights of this network are quantized ({next(iter(graph.formats))} is one), and "
            "learning would take them off their grids. Start from the network before it was quantized."
        )


def _teacher(distillation: Distillation, chosen: Track, context: Context) -> Graph:
    path = context.files.get(distillation.teacher)
    if path is None:
        raise SettingsError(f"distillation.teacher: no file {distillation.teacher} is here; upload the teacher first.")
    graph, _ = read_network(path, distillation.architecture, None)
    try:
        check_fits(graph, chosen)
    except SettingsError as error:
        raise SettingsError(f"distillation.teacher: {error}") from error
    return prepare(graph, fuse=True)
