"""The prune stage: rounds of cutting, fine-tuning and growing back, until there are enough of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from micronet.analysis.totals import network_totals
from micronet.contract import Accuracy, NetworkTotals, PrunedLayer, PruneRound, Pruning, PruningReport
from micronet.errors import NumericalError, SettingsError
from micronet.graph.ir import Graph
from micronet.journal import Entry, once, written
from micronet.pruning.annealing import Returning
from micronet.pruning.blocks import find_blocks
from micronet.pruning.cutting import cut, grow
from micronet.pruning.merging import merge, prices
from micronet.pruning.pieces import pieces_of
from micronet.pruning.saved import from_bytes, to_bytes
from micronet.training.fit import derived_seed, train
from micronet.training.state import forget_
from micronet.training.task import Task
from micronet.transformation.linear_layers import Cost
from micronet.transformation.linear_over_axes import linear_over_axes

BEFORE, CUT, DONE = "before", "cut", "done"
"""Entries of the journal: accuracy of the network as it came; and of each round, before and after fine-tuning."""
APART = "apart"
"""Entry of a round that came apart, in the place of its end."""
_LIGHT = "light"
"""The fact of these entries that their tensors are not needed any more."""
GRAPH, BACK = "graph", "back/"
"""Tensors of these entries: a network, and what of its blocks comes back."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The network as it stands, rotations apart, and what comes back to it, so many directions, before it is cut.

    `most` is what each block cost as the network came.
    """

    graph: Graph
    most: Mapping[str, Cost]
    back: Mapping[str, Returning] = field(default_factory=dict)
    coming_back: int = 0


def prune(graph: Graph, how: Pruning, task: Task) -> tuple[Graph, PruningReport]:
    """`graph` with fewer directions in its layers' eigenbases, fine-tuned, and how it went.

    While rounds go on, a layer that has lost directions is computed as rotations and a core, so that the next round
    finds the directions that are left; in the end each layer is merged into its cheapest form. Layers that would not
    get cheaper keep their weights, in every round, so that what is tuned and measured is what is kept. No cut makes
    parameters, those that are not zero, multiplications or additions more than they were before; fine-tuning fills
    weights that are zero where it does not hold them, and biases that are exactly zero. The journal has every
    round's cut and its end (and fine-tuning every epoch): broken off anywhere and called again, it goes on from there,
    and on one device ends with the same bits. Networks stay in it for as long as something may be made of them. Raises
    NotWritable for what ONNX cannot say, SettingsError for a journal that an earlier version began, whose rounds chose
    by another rule, and what `fit` raises; a round that comes apart is undone and the last, as one
    below the floor is, where there is a floor or a round before it.
    """
    before, accuracy = network_totals(graph), _accuracy_before(graph, task)
    whole = linear_over_axes(graph)
    standing, rounds, kept, apart = Standing(whole, prices(whole)), list[PruneRound](), 0, None
    while len(rounds) < how.rounds and not _is_small_enough(rounds, before, how):
        finished = _attempt(len(rounds) + 1, standing, how, task)
        if isinstance(finished, str):
            apart = finished
        if finished is None or isinstance(finished, str):
            break
        rounds.append(finished[1])
        if how.floor is not None and accuracy_of(finished[1]).top1 < how.floor:
            break
        standing, kept = finished[0], len(rounds)
        _lighten(kept - 1, task)
    final = merge(standing.graph, standing.most) if kept else graph
    return final, PruningReport(
        before=before,
        after=network_totals(final),
        before_accuracy=accuracy,
        after_accuracy=task.holdout_accuracy(final) if kept else accuracy,
        rounds=tuple(rounds),
        kept_rounds=kept,
        layers=_layers(standing.graph, final),
        left_alone=find_blocks(whole)[1],
        came_apart=apart,
        compression=how.compression,
    )


def accuracy_of(report: PruneRound) -> Accuracy:
    """On held-out images, at the end of a round."""
    return report.before_tuning if report.training is None else report.training.after


def _is_small_enough(rounds: list[PruneRound], before: NetworkTotals, how: Pruning) -> bool:
    if how.compression is None or not rounds:
        return False
    return rounds[-1].totals.parameters <= (1 - how.compression) * before.parameters


def _accuracy_before(graph: Graph, task: Task) -> Accuracy:
    entry = once(task.journal, BEFORE, lambda: Entry(task.holdout_accuracy(graph).model_dump()))
    return Accuracy.model_validate(entry.facts)


def _attempt(number: int, standing: Standing, how: Pruning, task: Task) -> tuple[Standing, PruneRound] | str | None:
    """As `_round`; for one that came apart, why. Raises NumericalError for the first round if there is no floor."""
    journal = _section(number, task).journal
    _raise_if_of_another_rule(journal.read(CUT))
    entry = journal.read(APART)
    if entry is None:
        try:
            return _round(number, standing, how, task)
        except NumericalError as error:
            if number == 1 and how.floor is None:
                raise
            entry = written(journal, APART, Entry({"why": str(error)}))
    forget_(journal)
    _lighten(number, task)
    return str(entry.facts["why"])


def _raise_if_of_another_rule(begun: Entry | None) -> None:
    """Raises SettingsError for a cut of the least salient directions whatever they save, which does not say `asked`."""
    if begun is not None and "asked" not in begun.facts:
        raise SettingsError(
            "the journal was begun by an earlier version, which chose directions by another rule. Give an empty "
            "directory."
        )


def _round(number: int, standing: Standing, how: Pruning, task: Task) -> tuple[Standing, PruneRound] | None:
    """What round `number` makes of `standing`, or None where nothing is left to remove.

    Cut and tuned networks are always those that the journal gives back, so that it makes no difference to a single bit
    whether they were written a moment or a crash ago. Of a round that was followed by another only the report is left:
    nobody asks for the network that then stands here.
    """

    def advance(done: int, total: int, unit: str) -> None:
        task.advance(done, total, f"{unit} of round {number} of {how.rounds}")

    section = replace(_section(number, task), advance=advance)
    begun, ended = section.journal.read(CUT), section.journal.read(DONE) if _is_whole(number, task) else None
    if begun is None or (ended is None and GRAPH not in begun.tensors):
        begun = _begin(number, standing, how, section)
    if begun is None:
        return None
    ended = ended or _end(number, standing, begun, how, section)
    forget_(section.journal)
    returning = {key: tensor for key, tensor in begun.tensors.items() if key != GRAPH}
    if GRAPH in begun.tensors:
        section.journal.write(CUT, Entry(begun.facts, returning))
    back = {name: Returning.of(tensors) for name, tensors in _grouped(returning).items()}
    graph = standing.graph if ended.facts.get(_LIGHT) else from_bytes(ended.tensors[GRAPH])
    report = {name: fact for name, fact in ended.facts.items() if name != _LIGHT}
    return Standing(graph, standing.most, back, begun.facts["coming_back"]), PruneRound.model_validate(report)


def _lighten(number: int, task: Task) -> None:
    """Leave of a round what it reported: another has taken its place, or it came apart."""
    journal = _section(number, task).journal
    for name in (DONE, CUT) if number else ():
        entry = journal.read(name)
        if entry is not None and not entry.facts.get(_LIGHT):
            journal.write(name, Entry({**entry.facts, _LIGHT: True}))


def _is_whole(number: int, task: Task) -> bool:
    """Whether a round need not be done again: its end is written down and what the next one begins with, or that one's.

    A worker that died may have stored a light entry, and nothing of what took its place.
    """
    journal = _section(number, task).journal
    begun, ended = journal.read(CUT), journal.read(DONE)
    if begun is None or ended is None:
        return False
    return not (begun.facts.get(_LIGHT) or ended.facts.get(_LIGHT)) or _is_whole(number + 1, task)


def _section(number: int, task: Task) -> Task:
    return task.section(f"round-{number}")


def _begin(number: int, standing: Standing, how: Pruning, section: Task) -> Entry | None:
    """Grow back, cut, write it down."""
    seed = derived_seed(section.seed, number, 0)
    graph = grow(standing.graph, standing.back)
    made = cut(graph, how, section.train, section.device, most=standing.most, seed=seed, advance=section.advance)
    if made is None:
        return None
    back = {f"{BACK}{name}/{part}": t for name, one in made.back.items() for part, t in one.tensors().items()}
    facts = {"asked": made.asked, "removed": made.removed, "coming_back": made.coming_back}
    return written(section.journal, CUT, Entry(facts, {GRAPH: to_bytes(made.graph), **back}))


def _end(number: int, standing: Standing, begun: Entry, how: Pruning, section: Task) -> Entry:
    """Fine-tune, with draws of this round and of no other, count, write it down."""
    section = replace(section, seed=derived_seed(section.seed, number, 1))
    tuned, training = train(from_bytes(begun.tensors[GRAPH]), how.fine_tuning, section)
    report = PruneRound(
        round=number,
        asked=begun.facts["asked"],
        removed=begun.facts["removed"],
        grown_back=standing.coming_back,
        totals=network_totals(merge(tuned, standing.most)),
        before_tuning=training.before,
        training=training if training.epochs else None,
    )
    return written(section.journal, DONE, Entry(report.model_dump(mode="json"), {GRAPH: to_bytes(tuned)}))


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """What comes back, by block and part."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(BACK):
            name, _, part = key.removeprefix(BACK).rpartition("/")
            grouped.setdefault(name, {})[part] = tensor
    return grouped


def _layers(apart: Graph, merged: Graph) -> tuple[PrunedLayer, ...]:
    """Each block's directions, which rotations apart show, and the form it has in the end."""
    forms = {block.name: pieces_of(merged, block).form for block in find_blocks(merged)[0]}
    layers = []
    for block in find_blocks(apart)[0]:
        pieces = pieces_of(apart, block)
        outputs, inputs = pieces.core.weight.shape[:2]
        layers.append(
            PrunedLayer(
                name=block.name,
                inputs=pieces.inputs,
                kept_inputs=inputs,
                outputs=pieces.outputs,
                kept_outputs=outputs,
                form=forms[block.name],
            )
        )
    return tuple(layers)
