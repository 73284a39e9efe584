"""The costliest layers of a score, as a table for people. Rows multiply out where the result says what was charged."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.breakdown import Charged, LayerCost, layer_costs
from app.printable import on_one_line
from micronet.contract import Layer, ScoreResult

COSTLIEST = 10
_ANY_WIDTH = 10_000
_AVERAGE = "~"

_Row = tuple[tuple[str, ...], ...]
"""The texts of each column. Those in one tuple stand below one another where there is no room for them side by side."""
_NAMES: _Row = (
    ("layer", "operation"),
    ("weights", "bits w/a"),
    ("multiplications", "additions"),
    ("math", "storage"),
    ("of score",),
)
_WORDS = _NAMES[0]
"""The others are numbers, which end at one line."""


def costliest_table(result: ScoreResult, console: Console) -> RenderableType:
    """The layers with the largest share of the score.

    Each layer is on one line if the console has the room for all of them, else on two.
    """
    shown = sorted(layer_costs(result), key=lambda cost: cost.points, reverse=True)[:COSTLIEST]
    rows = [_row(cost) for cost in shown]
    table = _table(_beside(_NAMES), map(_beside, rows))
    if console.measure(table, options=console.options.update_width(_ANY_WIDTH)).maximum > console.width:
        table = _table(_below(_NAMES), map(_below, rows))
    return Group(_title(result, shown), table)


def _title(result: ScoreResult, shown: Sequence[LayerCost]) -> Text:
    title = f"{len(shown)} costliest of {len(result.layers)} layers"
    charged = [cost.charged for cost in shown if cost.charged is not None]
    if len(charged) < len(shown):
        return Text(title)
    exponents = " + exponents" if any(each.exponents for each in charged) else ""
    average = any(map(_is_average, (bits for each in charged for bits in (each.multiplication, each.addition))))
    formula = f"\nmath = (multiplications × bits + additions × bits{exponents}) / 32"
    note = f"; {_AVERAGE}: average" if average else ""
    return Text.assemble(title, (formula + note, "dim"))


def _row(cost: LayerCost) -> _Row:
    layer = cost.layer
    held = f"{'-' if layer.weight_bits is None else layer.weight_bits}/{layer.activation_bits}"
    return (
        (on_one_line(layer.name), on_one_line(layer.op)),
        (f"{layer.parameters:,}", held),
        _operations(layer, cost.charged),
        (f"{layer.math:,.0f}", f"{layer.storage:,.0f}"),
        (f"{cost.share:.1%}",),
    )


def _operations(layer: Layer, charged: Charged | None) -> tuple[str, str]:
    """Multiplications and additions; where the result does not say what they were charged, their numbers alone."""
    if charged is None:
        return f"{layer.multiplications:,}", f"{layer.additions:,}"
    exponents = f" + {charged.exponents}" if charged.exponents else ""
    multiplications = _charged(layer.multiplications, charged.multiplication)
    return multiplications, _charged(layer.additions, charged.addition) + exponents


def _charged(count: int, bits: Fraction | None) -> str:
    """How many there are, and how many bits each was charged."""
    if bits is None:
        return "-"
    width = f"{_AVERAGE}{float(bits):.4f}".rstrip("0") if _is_average(bits) else str(bits)
    return f"{count:,} × {width}"


def _is_average(bits: Fraction | None) -> bool:
    return bits is not None and bits.denominator > 1


def _beside(row: _Row) -> Sequence[str]:
    return [text for texts in row for text in texts]


def _below(row: _Row) -> Sequence[str]:
    return ["\n".join(texts) for texts in row]


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        if name.startswith(_WORDS):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
