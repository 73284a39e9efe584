"""What a table for people says of a result."""

from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from app.tables import show_score
from micronet.contract import ScoreResult
from micronet.graph.capture import capture
from micronet.jobs import JOBS, Context
from micronet.network_file import to_bytes

FREE = "multiplications count as 16 bits"


def shown(result: ScoreResult) -> str:
    written = StringIO()
    show_score(result, Console(file=written, width=200))
    return written.getvalue()


@pytest.mark.parametrize(("bits", "free"), [(None, True), ({"param_bits": 8, "mul_bits": 8}, False)])
def test_only_a_network_of_which_nothing_is_quantized_is_said_to_have_the_freebie(
    tmp_path: Path, bits: dict[str, int] | None, free: bool
) -> None:
    """Whatever numbers its operations have in themselves: the 6 of a ReLU6 is three bits, and nobody's grid."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10)).eval()
    file = tmp_path / "net.onnx"
    file.write_bytes(to_bytes(capture(network, (1, 8, 8))))
    job = JOBS["score"]
    asked = {"track": "digits", "policy": "challenge", "bits": bits, "evaluate": False}
    result = job.run(job.settings.model_validate(asked), file, Context())
    assert [layer.weight_bits for layer in result.layers if layer.op == "hardtanh"] == [3]
    assert (FREE in shown(result)) is free
