"""Results as tables for people."""

import os
from collections.abc import Collection, Iterable

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.facts import facts
from app.layer_table import costliest_table
from app.printable import on_one_line, printable
from micronet.contract import ScoreResult, Value

_WIDE = 10_000


def show_whole(result: Value, as_json: bool) -> None:
    """Print what a job answered: as JSON, or as tables."""
    if as_json:
        print(result.model_dump_json(indent=2, ensure_ascii=True))
    elif isinstance(result, ScoreResult):
        show_score(result, wide_console())
    else:
        show_any(result, wide_console())


def show_score(result: ScoreResult, console: Console) -> None:
    """Totals, what the score is made of, the costliest layers, warnings."""
    layers = costliest_table(result, console)
    console.print(Group(_headline(result), "", _totals(result), "", layers, *_warnings(result.warnings)))


def show_any(result: Value, console: Console) -> None:
    """What any job answers: its numbers, accuracies and files, those of its report too; and warnings."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in facts(result):
        table.add_row(Text(name.replace("_", " ")), Text(on_one_line(text)))
    warnings = getattr(result, "warnings", ())
    console.print(Group(table, *_warnings(warnings)))


def show_rows(
    columns: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    console: Console,
    whole: Collection[str] = (),
    numbers: Collection[str] = (),
) -> None:
    """A plain list with a heading per column. Columns that are `whole` are not folded, `numbers` end at one line."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name in whole, justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*(Text(on_one_line(cell)) for cell in row))  # what looks like markup may be somebody's name
    console.print(table)


def wide_console() -> Console:
    """Standard output: where it is no terminal, and nobody says how wide it is, no row and no name is folded."""
    console = Console(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _WIDE
    return console


def _headline(result: ScoreResult) -> RenderableType:
    line = Text.assemble(("MicroNet score ", "bold"), (f"{result.score.total:.6f}", "bold green"))
    line.append(f"  = storage {result.score.storage:.6f} + math {result.score.math:.6f}")
    line.append(f"   ({result.track}, policy {result.policy})", style="dim")
    if _has_freebie(result):
        line.append("\nnothing is quantized, so parameters and multiplications count as 16 bits", style="dim")
    accuracy = result.accuracy
    if accuracy is None:
        return Group(line, Text("accuracy not measured", style="dim"))
    verdict = ("qualifies", "green") if result.qualifies else ("does not qualify", "red")
    answers = f"{accuracy.correct:,} of {accuracy.total:,} correct = {accuracy.top1:.2%} top-1"
    return Group(line, Text.assemble(f"{answers}, {result.threshold:.2%} needed: ", verdict))


def _has_freebie(result: ScoreResult) -> bool:
    """Whether products with values of 32 bits were charged 16, as only a network is of which nothing is quantized."""
    charged = [layer.charged for layer in result.layers if layer.activation_bits == 32 and layer.charged is not None]
    return result.policy == "challenge" and any(16 in each.math.get("multiplications", {}) for each in charged)


def _totals(result: ScoreResult) -> Table:
    operations, storage = result.operations, result.storage
    table = Table("", "count", "32-bit units", "share of score", box=None, header_style="bold", pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    total = result.score.total or 1.0
    table.add_row("multiplications", f"{operations.multiplications:,}")
    table.add_row("additions", f"{operations.additions:,}")
    if operations.exponents:
        table.add_row("exponents", f"{operations.exponents:,}")
    table.add_row("math", "", f"{operations.math:,.1f}", f"{result.score.math / total:.1%}", style="bold")
    table.add_row("parameters", f"{storage.parameters:,}")
    table.add_row("of these not zero", f"{storage.nonzero:,}")
    table.add_row("storage", "", f"{storage.storage:,.1f}", f"{result.score.storage / total:.1%}", style="bold")
    table.add_row("largest transient activations", f"{result.mtas_bytes:,} bytes")
    return table


def _warnings(warnings: tuple[str, ...]) -> list[RenderableType]:
    return [Text.assemble(("\nwarning: ", "yellow"), printable(warning)) for warning in warnings]
