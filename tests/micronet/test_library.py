"""The public names of `micronet`: what they make of a module, a file and a graph."""

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

import micronet
from micronet.contract import JobSettings, QuantizeSettings, ScoreSettings
from micronet.errors import (
    ArchitectureNotAccepted,
    CaptureFailed,
    DatasetMissing,
    MicronetError,
    NotFinite,
    SettingsError,
    UnsupportedTensor,
)
from micronet.graph.interpret import interpret
from micronet.jobs.quantize import quantize
from tests.micronet.jobs.asking import ask, numbers

ROOT = Path(micronet.__file__).parent
WIDTHS = micronet.BitWidths(param_bits=6, mul_bits=8)
# Costs of `network()` with its batch norm merged:
#   conv 3x3, 1 -> 4 on 8x8:  36 weights, 4 biases; 64 x 4 x 9 = 2,304 multiplications, 64 x 4 x 9 = 2,304 additions
#   ReLU:                     64 x 4 = 256 multiplications
#   linear 256 -> 10:         2,560 weights, 10 biases; 2,560 multiplications, 2,560 additions
PARAMETERS, MULTIPLICATIONS, ADDITIONS = 40 + 2570, 2304 + 256 + 2560, 2304 + 2560


def network() -> nn.Sequential:
    """With a batch norm and a dropout, so that its mode matters; the norm has seen something."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
    nn.init.uniform_(norm.running_mean)  # type: ignore[arg-type]
    return nn.Sequential(conv, norm, nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(256, 10))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as torch writes it, which knows nothing of our own writer."""
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    torch.onnx.export(
        network().eval(),
        (torch.zeros(2, 1, 8, 8),),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n")},),
        external_data=False,
    )
    return path


@pytest.mark.parametrize("bits", [None, WIDTHS])
def test_a_module_scores_as_the_file_it_was_exported_to(bits: micronet.BitWidths | None, exported: Path) -> None:
    one, other = (micronet.score(given, track="digits", bits=bits) for given in (network(), exported))
    assert one.accuracy == other.accuracy
    assert (one.score, one.storage, one.operations) == (other.score, other.storage, other.operations)
    counted = micronet.count(network(), track="digits", bits=bits)
    assert numbers(counted) == numbers(one) | {"accuracy": None, "qualifies": None}


def test_costs_are_those_of_hand_arithmetic() -> None:
    result = micronet.count(network(), track="digits", policy="challenge", bits=None)
    assert result.storage.parameters == PARAMETERS
    assert (result.operations.multiplications, result.operations.additions) == (MULTIPLICATIONS, ADDITIONS)


def test_a_result_is_the_command_line_s_own(exported: Path, tmp_path: Path) -> None:
    settings = {"track": "digits", "policy": "challenge", "bits": {"param_bits": 6, "mul_bits": 8}}
    command = [sys.executable, "-m", "app", "score", str(exported), "--json", "--device", "cpu"]
    done = subprocess.run(
        [*command, "--settings", json.dumps(settings)], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    result = micronet.score(exported, settings, device="cpu")
    assert json.loads(result.model_dump_json()) == json.loads(done.stdout)


def test_a_module_stays_as_it_is() -> None:
    module = network()
    module[1].eval()  # a frozen norm within a network that trains
    modes = [part.training for part in module.modules()]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    graph = micronet.capture(module, (1, 8, 8))
    images = torch.randn(2, 1, 8, 8)
    answers = interpret(graph, images)
    micronet.score(module, track="digits")
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.fill_(7.0)
    assert torch.equal(interpret(graph, images), answers), "a graph keeps the weights it was captured with"


def test_modes_are_given_back_where_capturing_fails() -> None:
    class Undecided(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    module = Undecided()
    with pytest.raises(CaptureFailed):
        micronet.capture(module, (1, 8, 8))
    assert module.training


def test_flags_of_cuda_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn: Any = torch.backends.cudnn

    def flags() -> tuple[object, ...]:
        matmul = torch.backends.cuda.matmul
        return matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.benchmark, cudnn.deterministic

    seen = []
    monkeypatch.setattr("micronet.library.score_network", lambda *_given: seen.append(flags()))
    monkeypatch.setattr(cudnn, "benchmark", True)
    before = flags()
    micronet.score(network(), track="digits")
    assert seen == [("ieee", "ieee", False, True)]
    assert flags() == before


def test_a_shape_of_images_may_be_a_list() -> None:
    graph = micronet.capture(network(), [1, 8, 8])  # type: ignore[arg-type]
    assert graph.input_shape == (1, 8, 8)
    assert micronet.count(network(), input_shape=[1, 8, 8], track="digits").warnings == ()  # type: ignore[arg-type]


def test_fused_and_written_a_network_answers_the_same(tmp_path: Path) -> None:
    graph = micronet.capture(network(), (1, 8, 8))
    fused = micronet.fuse(graph)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(interpret(fused, images), interpret(graph, images))
    assert len(fused.nodes) < len(graph.nodes)
    for made in (graph, fused):
        artifact = micronet.write(made, tmp_path / "made.onnx")
        assert [path.name for path in tmp_path.iterdir()] == [artifact.name] == ["made.onnx"]
        again = micronet.read(tmp_path / "made.onnx")
        torch.testing.assert_close(interpret(again, images), interpret(graph, images))
        one, other = (micronet.count(each, track="digits") for each in (again, graph))
        assert (one.score, one.storage, one.operations) == (other.score, other.storage, other.operations)


def test_a_quantized_graph_is_the_one_that_a_score_measures(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"track": "digits", "policy": "challenge"}
    quantized = micronet.quantize(network(), track="digits", bits=WIDTHS)
    measured = micronet.score(network(), bits=WIDTHS, **asked)
    assert numbers(micronet.score(quantized, bits=None, **asked)) == numbers(measured)
    path = tmp_path / "plain.onnx"
    micronet.write(micronet.capture(network(), (1, 8, 8)), path)
    ask("quantize", path, {"track": "digits", "bits": WIDTHS.model_dump()}, tmp_path)
    again = micronet.read(tmp_path / "quantized.onnx")
    assert all(torch.equal(again.weights[name], weight) for name, weight in quantized.weights.items())


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
def test_scales_that_are_still_one_are_weights_once_quantized(norm: type[nn.Module]) -> None:
    """A fresh network's: a reader that took them for what an exporter had to write would drop them."""
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(2), norm(36), nn.Flatten(), nn.Linear(288, 10))
    graph = micronet.quantize(network, track="digits", bits={"param_bits": 8, "mul_bits": 8}, quantizer={"rule": "mse"})
    scales = [weight for weight in graph.weights.values() if weight.shape == (36,) and bool((weight == 1).all())]
    assert len(scales) == 1


def test_a_path_may_be_text_and_of_a_state_dict(tmp_path: Path) -> None:
    from micronet.architectures.load import create_network

    module = create_network("digits", {}, 0)
    path = tmp_path / "digits.pth"
    torch.save(module.state_dict(), path)
    asked: dict[str, Any] = {"track": "digits", "policy": "challenge", "bits": None}
    file = micronet.score(str(path), architecture={"name": "digits"}, **asked)
    assert numbers(file) == numbers(micronet.score(module, **asked))
    assert numbers(micronet.score(micronet.read(path, {"name": "digits"}), **asked)) == numbers(file)
    assert micronet.count(architecture={"name": "digits"}, **asked).operations == file.operations


def test_what_a_reader_has_to_say_is_a_warning(tmp_path: Path) -> None:
    from micronet.architectures.load import create_network

    weights = create_network("digits", {}, 0).state_dict()
    torch.save({"state_dict": weights, "ema": dict(weights)}, tmp_path / "two.pth")
    with pytest.warns(UserWarning, match="ema"):
        micronet.read(tmp_path / "two.pth", {"name": "digits"})
    with pytest.warns(UserWarning, match="ema"):
        micronet.quantize(tmp_path / "two.pth", track="digits", architecture={"name": "digits"}, bits=WIDTHS)


def test_what_quantizing_has_to_say_is_a_warning_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*given: Any) -> Any:
        result = quantize(*given)
        return result.model_copy(update={"warnings": (*result.warnings, "one thing", "another")})

    monkeypatch.setattr("micronet.library.quantize_file", told)
    with pytest.warns(UserWarning, match="one thing") as seen:
        micronet.quantize(network(), track="digits", bits=WIDTHS)
    told_here = [str(one.message) for one in seen if one.filename == __file__]
    assert told_here == ["one thing", "another"]


def test_where_no_file_can_be_written_the_path_that_was_given_is_named(tmp_path: Path) -> None:
    graph = micronet.capture(network(), (1, 8, 8))
    for wrong in (tmp_path / "nowhere" / "made.onnx", str(tmp_path), ""):
        with pytest.raises(OSError, match=re.escape(repr(str(wrong)))) as caught:
            micronet.write(graph, wrong)
        assert caught.value.filename == str(wrong)
    assert not list(tmp_path.iterdir())


def test_keywords_win_over_settings() -> None:
    settings = ScoreSettings(track="digits", policy="challenge")
    one = micronet.count(network(), settings, bits=None)
    assert one == micronet.count(network(), track="digits", policy="challenge", bits=None)
    assert one == micronet.count(network(), **dict(settings) | {"bits": None})


def test_an_input_shape_is_for_modules_of_any_task() -> None:
    wide = micronet.count(network(), input_shape=(1, 8, 8), bits=None)
    assert wide.track == ScoreSettings().track
    assert "another task" in wide.warnings[0]
    assert wide.operations.multiplications == MULTIPLICATIONS
    for given in ({"network": micronet.capture(network(), (1, 8, 8))}, {"architecture": {"name": "digits"}}, {}):
        with pytest.raises(TypeError, match="for modules"):
            micronet.count(**given, track="digits", input_shape=(1, 8, 8))


def test_what_is_no_network_is_said_so() -> None:
    state: Any = network().state_dict()
    module: Any = network()
    with pytest.raises(TypeError, match="state dict is saved to a file"):
        micronet.score(state, track="digits")
    with pytest.raises(TypeError, match=r"micronet\.capture\(module, input_shape\)"):
        micronet.fuse(module)
    with pytest.raises(TypeError, match=r"micronet\.read\(path\)"):
        micronet.write("network.onnx", "other.onnx")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        micronet.capture("network.onnx", (1, 8, 8))  # type: ignore[arg-type]


def test_errors_are_those_of_the_settings_and_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MICRONET_DATA", raising=False)
    for wrong in ({"trak": "digits"}, {"policy": "own"}, {"bits": {"param_bits": 1}}):
        with pytest.raises(ValidationError, match="ScoreSettings"):
            micronet.score(network(), **wrong)
    with pytest.raises(ArchitectureNotAccepted):
        micronet.score(network(), track="digits", architecture={"name": "digits"})
    with pytest.raises(SettingsError, match="cifar100"):
        micronet.score(micronet.capture(network(), (1, 8, 8)), evaluate=False)
    with pytest.raises(DatasetMissing):
        micronet.score(nn.Sequential(nn.Flatten(), nn.Linear(3072, 100)))
    with pytest.raises(DatasetMissing):
        micronet.score(nn.Sequential(nn.Flatten(), nn.Linear(3072, 100)), data_dir=tmp_path)
    with pytest.raises(FileNotFoundError):
        micronet.count(tmp_path / "nothing.onnx")
    with pytest.raises(UnsupportedTensor, match="meta"):
        micronet.capture(network().to("meta"), (1, 8, 8))
    broken = network()
    nn.init.constant_(broken[5].bias, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(NotFinite, match=r"5\.bias"):
        micronet.score(broken, track="digits")
    assert all(issubclass(kind, micronet.MicronetError) for kind in (MicronetError, NotFinite, SettingsError))


@pytest.mark.parametrize(
    ("function", "kind"),
    [(micronet.score, ScoreSettings), (micronet.count, ScoreSettings), (micronet.quantize, QuantizeSettings)],
)
def test_help_shows_the_fields_of_the_settings(function: Callable[..., object], kind: type[JobSettings]) -> None:
    shown = inspect.signature(function).parameters
    asked = inspect.signature(kind).parameters
    assert [(name, shown[name].default) for name in asked] == [(name, one.default) for name, one in asked.items()]


def test_every_name_is_there_and_told_to_type_checkers() -> None:
    for name in micronet.__all__:
        assert getattr(micronet, name).__doc__
        assert name in dir(micronet)
    guarded = next(node for node in ast.parse((ROOT / "__init__.py").read_text()).body if isinstance(node, ast.If))
    imported = {name.name for node in guarded.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert sorted(imported) == micronet.__all__ == sorted(micronet.__all__)
    with pytest.raises(AttributeError, match="no attribute 'scor'"):
        micronet.scor  # type: ignore[attr-defined]  # noqa: B018


def test_importing_does_nothing_and_settings_need_no_torch() -> None:
    script = """
import sys
import micronet
assert not {name for name in sys.modules if name.startswith("micronet.")} and "torch" not in sys.modules
assert "score" in dir(micronet)
micronet.ScoreSettings, micronet.ScoreResult, micronet.MicronetError, micronet.LayerBits
assert "torch" not in sys.modules
assert callable(micronet.score) and "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT.parent, check=True)


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT.parent / "README.md").read_text(encoding="utf-8").partition("\n## As a library\n")[2]
    example = re.search(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert example is not None
    monkeypatch.chdir(tmp_path)
    exec(compile(example[1], "README.md", "exec"), {})
    assert (tmp_path / "small.onnx").is_file()
