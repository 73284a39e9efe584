"""The command line, run as people and programs run it: real processes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import typer
from onnx import helper

from app.cli import app
from app.failures import reported
from app.score_options import OPTIONS, score_settings
from micronet.contract import ScoreResult, ScoreSettings
from micronet.errors import SettingsError
from tests.micronet.checkpoints.corpus import CORPUS
from tests.trips.networks import save
from worker.settings import Settings

MICRONET = str(Path(sys.executable).with_name("micronet"))


def micronet(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    wanted = {key: value for key, value in os.environ.items() if key != "MICRONET_DATA"}
    return subprocess.run(
        [MICRONET, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**wanted, "COLUMNS": "120", **environment},
    )


def test_torch_stays_unloaded_until_a_command_needs_it() -> None:
    code = (
        "import sys, app.cli, micronet.contract, micronet.tracks, micronet.architectures; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_what_reads_a_servers_settings_is_missed_by_servers_alone() -> None:
    code = (
        "import sys; sys.modules['pydantic_settings'] = None; from app.cli import app; "
        "app(['count', '--architecture', 'digits', '--track', 'digits', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["operations"]["multiplications"] > 0


@pytest.mark.parametrize(("arguments", "lanes"), [([], "short"), (["--kinds", "long"], "long")])
def test_a_worker_takes_the_kinds_its_environment_names(
    arguments: list[str], lanes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr("worker.main.run_worker", started.append)
    monkeypatch.setattr("app.logs.configure_logs", lambda: None)
    monkeypatch.setenv("MICRONET_LANES", "short")
    app(["worker", "--home", str(tmp_path), *arguments], standalone_mode=False)
    assert [settings.lanes for settings in started] == [lanes]


def test_every_score_setting_has_an_option() -> None:
    reachable = {option.path[0] for option in OPTIONS.values() if option.path}
    assert reachable == set(ScoreSettings.model_fields)


def test_no_option_changes_no_default() -> None:
    assert score_settings(dict.fromkeys(OPTIONS)) == ScoreSettings()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"param_bits": 7}, {"bits": {"param_bits": 7}}),
        ({"unquantized": True}, {"bits": None}),
        ({"architecture": "pyramidnet", "option": ["depth=110", "bottleneck=false"]},
         {"architecture": {"name": "pyramidnet", "options": {"depth": 110, "bottleneck": False}}}),
        ({"mean": "0.5,0.5,0.5", "std": "1 1 1"}, {"normalize": {"mean": [0.5] * 3, "std": [1] * 3}}),
        ({"evaluate": False}, {"evaluate": False}),
        ({"settings": '{"policy": "challenge", "seed": 3}', "seed": 4}, {"policy": "challenge", "seed": 4}),
        ({"settings": '{"bits": {"param_bits": 5}}', "mul_bits": 6}, {"bits": {"param_bits": 5, "mul_bits": 6}}),
    ],
)  # fmt: skip
def test_options_become_settings(given: Mapping[str, object], expected: Mapping[str, object]) -> None:
    assert score_settings(given) == ScoreSettings.model_validate_json(json.dumps(expected))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"settings": "{"}, "--settings"),
        ({"settings": "[]"}, "object"),
        ({"settings": "[" * 100_000}, "deep"),
        ({"settings": "@/nowhere"}, "nowhere"),
        ({"settings": '{"polcy": "report"}'}, "polcy"),
        ({"option": ["depth"], "architecture": "resnet"}, "KEY=VALUE"),
        ({"option": ["depth=3"]}, "architecture.name"),
        ({"mean": "a,b,c", "std": "1,1,1"}, "numbers"),
        ({"mean": "0.5,0.5,0.5"}, "normalize.std"),
        ({"param_bits": 33}, "param_bits"),
        ({"param_bits": 0}, "param_bits"),
        ({"unquantized": True, "param_bits": 4}, "bits"),
        ({"settings": '{"bits": null}', "mul_bits": 4}, "bits"),
    ],
)
def test_options_that_make_no_sense_are_named(given: Mapping[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        score_settings(given)


def test_demo_trains_and_scores_a_network_that_qualifies() -> None:
    done = micronet("demo", "--json")
    assert done.returncode == 0, done.stderr
    result = ScoreResult.model_validate_json(done.stdout)
    assert result.track == "digits"
    assert result.qualifies


def test_json_is_the_contract_and_nothing_else() -> None:
    done = micronet("count", "--architecture", "digits", "--track", "digits", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == [
        "track", "policy", "accuracy", "operations", "storage", "score", "threshold", "qualifies", "mtas_bytes",
        "layers", "scorer", "warnings", "changes",
    ]  # fmt: skip
    assert list(result["operations"]) == ["multiplications", "additions", "exponents", "math"]
    assert list(result["storage"]) == ["parameters", "nonzero", "bits", "storage"]
    assert list(result["score"]) == ["storage", "math", "total"]
    assert list(result["layers"][0])[:11] == [
        "name", "op", "shape", "multiplications", "additions", "parameters", "nonzero", "weight_bits",
        "activation_bits", "math", "storage",
    ]  # fmt: skip
    assert list(result["scorer"]) == ["version", "torch", "device", "dataset", "seed"]
    assert list(result["changes"]) == ["merged", "removed", "before", "after", "tensors"]
    assert list(result["changes"]["after"]) == ["parameters", "nonzero", "multiplications", "additions"]


def test_the_table_shows_totals_and_the_costliest_layers() -> None:
    done = micronet("count", "--architecture", "wideresnet", "--policy", "challenge", "--unquantized")
    assert done.returncode == 0, done.stderr
    for words in ("MicroNet score", "multiplications", "10 costliest of", "accuracy not measured", "36,5"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("score", "/nowhere.pth"), 3, "MICRONET_DATA"),
        (("count", "/nowhere.pth"), 1, "no such file"),
        (("count",), 1, "nothing to count"),
        (("count", "--architecture", "pyramidnett"), 1, "pyramidnet"),
        (("count", "--architecture", "digits", "--accumulators", "proven"), 1, "calibrated"),
        (("count", "--architecture", "digits", "--param-bits", "many"), 2, "--param-bits"),
        (("fly",), 2, "fly"),
        (("download", "imagenet", "--data", "/tmp"), 3, "cifar100"),
        (("score", "tests/conftest.py", "--device", "tpu"), 1, "this machine has"),
    ],
)
def test_failures_say_what_would_be_right(arguments: tuple[str, ...], exit_code: int, words: str) -> None:
    done = micronet(*arguments)
    assert done.returncode == exit_code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_who_has_read_enough_is_no_failure() -> None:
    """`micronet ... --json | head`: printing ends where the pipe's other end was closed, and no file is at fault."""
    command = typer.Typer()

    @command.command()
    def much() -> None:
        with reported(as_json=True):
            print("x" * (1 << 20))

    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed, redirect_stdout(closed), redirect_stderr(StringIO()) as said:
        with pytest.raises(SystemExit) as ended:
            command([])
        with suppress(BrokenPipeError):
            closed.close()
    assert ended.value.code == 1
    assert said.getvalue() == ""


def test_failures_are_json_where_results_are() -> None:
    done = micronet("count", "--json")
    assert done.stdout == ""
    assert json.loads(done.stderr)["code"] == "settings"


@pytest.mark.parametrize("name", ["empty", "os_system", "torchscript"])
def test_bad_files_end_in_one_line(name: str, tmp_path: Path) -> None:
    bad = CORPUS[name]
    done = micronet("count", str(bad.make(tmp_path)), "--architecture", "digits", "--track", "digits", "--json")
    assert done.returncode == 1
    assert json.loads(done.stderr)["code"] == bad.error.code


@pytest.mark.parametrize("command", ["tracks", "architectures"])
def test_json_has_no_colours_though_they_are_forced(command: str) -> None:
    assert json.loads(micronet(command, "--json", FORCE_COLOR="1").stdout)


def test_tracks_and_architectures_are_listed() -> None:
    tracks = json.loads(micronet("tracks", "--json").stdout)
    assert {"cifar100", "imagenet", "digits"} <= {track["name"] for track in tracks}
    networks = json.loads(micronet("architectures", "--json").stdout)
    assert {"pyramidnet", "wideresnet", "digits"} <= {network["name"] for network in networks}
    assert "pyramidnet" in micronet("architectures").stdout
    assert "36,500,000" in micronet("tracks").stdout


def test_names_out_of_a_file_are_words_and_nothing_else(tmp_path: Path) -> None:
    """Neither markup nor orders to the terminal."""
    names = ["head[/b]conv", "\x1b[2J\x1b]0;title\x07"]
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "first"], ["hidden"], transB=1, name=names[0]),
        helper.make_node("Gemm", ["hidden", "last"], ["logits"], transB=1, name=names[1]),
    ]
    weights = {"first": np.ones((16, 64), np.float32), "last": np.ones((10, 16), np.float32)}
    file = save(tmp_path / "named.onnx", nodes, weights)
    done = micronet("count", str(file), "--track", "digits", "--unquantized")
    assert done.returncode == 0, done.stderr
    assert names[0] in done.stdout
    assert "\N{REPLACEMENT CHARACTER}[2J" in done.stdout
    assert "\x1b" not in done.stdout
