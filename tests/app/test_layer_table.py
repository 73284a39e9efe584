"""The table of the costliest layers: what it shows multiplies out, and it is readable on a terminal."""

import json
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from app.commands.following import show
from app.layer_table import COSTLIEST, costliest_table
from micronet.contract import BitWidths, Charges, ScoreResult, ScoreSettings
from micronet.jobs import Context, count_network
from tests.app.http.results import score_text
from tests.app.pages.layers import layer

NARROW, WIDE = 80, 1000
WIDTHS = BitWidths(param_bits=9, mul_bits=12, add_bits=20)


def counted(shared_dir: Path, policy: str, bits: BitWidths | None) -> ScoreResult:
    """A published network."""
    settings = ScoreSettings.model_validate({"policy": policy, "bits": bits})
    return count_network(settings, shared_dir / "checkpoints" / "kaist_v2_pr45.onnx", Context(device="cpu"))


def printed(result: ScoreResult, width: int) -> list[str]:
    """Its lines."""
    written = StringIO()
    console = Console(file=written, width=width, highlight=False)
    console.print(costliest_table(result, console))
    return [line.rstrip() for line in written.getvalue().splitlines()]


def cells(lines: Sequence[str], width: int) -> list[list[str]]:
    """The texts of each row: layer, operation, weights, bits w/a, multiplications, additions, math, storage, share."""
    split = [re.split(" {2,}", line) for line in lines[2:]]
    if width == WIDE:
        return split[1:]
    order = (0, 5, 1, 6, 2, 7, 3, 8, 4)
    return [[(upper + lower)[place] for place in order] for upper, lower in zip(split[2::2], split[3::2], strict=True)]


def bit_operations(text: str) -> float:
    """What `1,000 × 32 + 8` comes to."""
    if text == "-":
        return 0.0
    product, _, exponents = text.replace(",", "").partition(" + ")
    count, bits = product.split(" × ")
    return int(count) * float(bits.lstrip("~")) + int(exponents or 0)


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("bits", [None, WIDTHS])
@pytest.mark.parametrize("policy", ["report", "challenge"])
def test_every_row_multiplies_out(shared_dir: Path, policy: str, bits: BitWidths | None, width: int) -> None:
    lines = printed(counted(shared_dir, policy, bits), width)
    rows = cells(lines, width)
    assert len(rows) == COSTLIEST
    assert all(len(line) <= width for line in lines)
    for name, operation, _, _, multiplications, additions, math, *_ in rows:
        assert name.startswith("layers/layers.")  # whole
        assert name.endswith("/Conv")
        assert operation == "conv2d"
        total = bit_operations(multiplications) + bit_operations(additions)
        assert int(math.replace(",", "")) == pytest.approx(total / 32, abs=0.5)
    assert ("exponents" in lines[1]) is (" + " in rows[0][5]) is (policy == "report" and bits is not None)
    assert rows[0][4].endswith("× 16" if (policy, bits) == ("challenge", None) else "× 12" if bits else "× 32")
    assert f" × {20 if policy == 'report' and bits else 32}" in rows[0][5]


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_an_average_is_called_one(width: int) -> None:
    """Two filters with 4 additions each, one of 13 bits and one of 16; 8 multiplications at 12 bits."""
    charged = Charges(math={"multiplications": {12: 8}, "additions": {13: 4, 16: 4}}, storage={})
    math = (8 * 12 + 4 * 13 + 4 * 16) / 32
    proven = layer("conv", multiplications=8, additions=8, math=math, charged=charged)
    plain = layer("input", math=0, charged=Charges(math={}, storage={}))
    result = ScoreResult.model_validate_json(score_text(350, 0.4)).model_copy(update={"policy": "challenge"})
    lines = printed(result.model_copy(update={"layers": (proven, plain)}), width)
    assert lines[1].endswith("; ~: average")
    rows = cells(lines, width)
    assert [row[4:6] for row in rows] == [["8 × 12", "8 × ~14.5"], ["-", "-"]]
    assert "average" not in printed(result.model_copy(update={"layers": (plain,)}), width)[1]


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_of_a_result_that_does_not_say_what_was_charged_the_numbers_are_shown_alone(width: int) -> None:
    """Whatever the math looks like."""
    silent = layer("conv", multiplications=8, additions=1000, math=(8 * 12 + 1000 * 32) / 32)
    result = ScoreResult.model_validate_json(score_text(350, 0.4)).model_copy(update={"layers": (silent,)})
    lines = printed(result, width)
    assert lines[0] == "1 costliest of 1 layers"
    assert not {"×", "~", "math ="} & set(" ".join(lines).split())
    (row,) = cells(["", *lines], width)
    assert row[4:7] == ["8", "1,000", "1,003"]


def test_a_servers_job_is_shown_at_the_widths_that_it_was_charged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at those that its settings declare."""
    monkeypatch.setenv("COLUMNS", str(WIDE))
    fields = json.loads(score_text(350, 0.4))
    fields["layers"][0]["math"] = (3 * 12 + 2 * 20) / 32
    fields["layers"][0]["charged"] = {"math": {"multiplications": {"12": 3}, "additions": {"20": 2}}, "storage": {}}
    settings = {"bits": {"mul_bits": 8}}
    show({"id": "0" * 32, "kind": "score", "status": "succeeded", "settings": settings, "result": fields}, False)
    assert re.search(r"3 × 12 +2 × 20 ", capsys.readouterr().out)
