"""The command line, run as people and programs run it: in real processes where only those show it."""

import json
import os
import re
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
from structlog.testing import capture_logs

from app.commands.program import app
from app.reporting import reported
from app.score_options import OPTIONS, score_settings
from micronet.contract import ScoreSettings
from micronet.errors import SettingsError
from micronet.version import version
from tests.app.in_process import command
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
    modules = "app.commands.program, micronet.contract, micronet.tracks, micronet.architectures"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_what_reads_a_servers_settings_is_missed_by_servers_alone() -> None:
    code = (
        "import sys; sys.modules['pydantic_settings'] = None; from app.commands.program import app; "
        "app(['count', '--architecture', 'digits', '--track', 'digits', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["operations"]["multiplications"] > 0


def test_ctrl_c_before_all_is_imported_ends_in_no_traceback() -> None:
    code = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name not in ('app', 'app.cli'): raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from app.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_version_is_told() -> None:
    done = micronet("--version")
    assert (done.returncode, done.stdout) == (0, f"{version()}\n")


def test_a_process_ends_with_the_exit_code_of_its_command_and_says_why() -> None:
    done = micronet("train", "--set", "epochs", "--json")
    assert (done.returncode, done.stdout, json.loads(done.stderr)["code"]) == (1, "", "settings")


@pytest.mark.parametrize("name", ["serve", "api", "worker", "doctor"])
def test_help_says_where_the_state_of_a_server_lies_unless_told(name: str) -> None:
    assert "default: (~/.micronet)" in command(name, "--help").stdout


def test_help_of_submit_says_what_may_stand_for_a_file() -> None:
    assert "give --from, or --architecture for" in command("submit", "--help").stdout


@pytest.mark.parametrize("name", ["score", "count"])
def test_help_says_what_holds_where_nothing_is_said(name: str) -> None:
    shown = re.findall(r"default:\s*\(([^)]+)\)", command(name, "--help", COLUMNS="300").stdout)
    expected = "cifar100 report 9 12 32 8 fuse-batchnorm sigmamax tensor 10.0 20.0 1000 cheapest declared evaluate"
    assert " ".join(shown) == f"{expected} no-bit-true 0"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "times"),
    [
        (("tracks",), 3, 1),
        (("tracks", "--help"), 3, 1),
        (("architectures", "--json"), 3, 1),  # more than is held back to be written at the end
        (("fly",), 2, 0),
    ],
)
def test_what_cannot_be_written_is_said_once(arguments: tuple[str, ...], exit_code: int, times: int) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([MICRONET, *arguments], check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("no-space")) == (exit_code, times)
    assert ("Traceback" in done.stderr, "Exception ignored" in done.stderr) == (False, False)


@pytest.mark.parametrize(
    ("command", "times"),
    [
        (("worker",), 1),
        (("api", "--port", "0"), 1),
        (("serve", "--port", "0"), 1),
        (("worker", "--parent", "1"), 0),  # whose parent has said it
        (("api", "--port", "0", "--parent", "1"), 0),
    ],
)
def test_a_variable_that_is_no_setting_is_told_at_the_start(
    command: tuple[str, ...], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for starting in ("worker.main.run_worker", "app.server.run_api", "app.server.serve"):
        monkeypatch.setattr(starting, lambda *_: None)
    for changing_this_process in ("app.logs.configure_logs", "app.processes.die_with_parent"):
        monkeypatch.setattr(changing_this_process, lambda *_: None)
    monkeypatch.setenv("MICRONET_WAL_SECONDS", "5")
    monkeypatch.setenv("MICRONET_TOKEN", "mn_of_a_client")
    with capture_logs() as logs:
        app([*command, "--home", str(tmp_path)], standalone_mode=False)
    said = [entry for entry in logs if "variable" in entry]  # a thread of another test may have logged meanwhile
    told = [(entry["log_level"], entry["variable"], entry["nearest"]) for entry in said]
    assert told == times * [("warning", "MICRONET_WAL_SECONDS", "MICRONET_WALL_SECONDS")]


@pytest.mark.parametrize(("arguments", "lanes"), [([], "short"), (["--kinds", "long"], "long")])
def test_a_worker_takes_the_kinds_its_environment_names(
    arguments: list[str], lanes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr("worker.main.run_worker", started.append)
    monkeypatch.setattr("app.logs.configure_logs", lambda _: None)
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
        ({"architecture": "resnet", "option": [f"depth={'1' * 5000}"]},  # more digits than Python reads
         {"architecture": {"name": "resnet", "options": {"depth": "1" * 5000}}}),
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


def test_json_is_the_contract_and_nothing_else() -> None:
    done = command("count", "--architecture", "digits", "--track", "digits", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == [
        "track", "policy", "accuracy", "operations", "storage", "score", "threshold", "qualifies", "mtas_bytes",
        "layers", "scorer", "warnings", "changes", "widths",
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


def test_letters_that_a_terminal_lacks_are_spelled_out() -> None:
    done = micronet("count", "--architecture", "digits", "--track", "digits", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xd7" in done.stdout  # the sign of multiplication
    missing = micronet("count", "n\u00e9t.onnx", PYTHONIOENCODING="ascii")
    assert (missing.returncode, r"n\xe9t.onnx: there is no such file" in missing.stderr) == (1, True)


def test_json_is_ascii_whatever_the_network_calls_its_layers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"], transB=1, name="h\u00f6her"),
    ]
    file = save(tmp_path / "net.onnx", nodes, {"weights": np.ones((10, 64), np.float32)})
    done = command("count", str(file), "--track", "digits", "--json")
    assert done.stdout.isascii()
    assert "h\u00f6her" in [layer["name"] for layer in json.loads(done.stdout)["layers"]]


def test_the_table_shows_totals_and_the_costliest_layers() -> None:
    done = command("count", "--architecture", "wideresnet", "--policy", "challenge", "--unquantized")
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
        (("serve", "--host", "nohost.invalid"), 1, "choose another --host."),
        (("serve", "--host", "a..b"), 1, "choose another --host."),
        (("serve", "--host", "192.0.2.1"), 1, "choose another --host."),
    ],
)
def test_failures_say_what_would_be_right(arguments: tuple[str, ...], exit_code: int, words: str) -> None:
    done = command(*arguments)
    assert done.returncode == exit_code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_who_has_read_enough_is_no_failure() -> None:
    """`micronet ... --json | head`: printing ends where the pipe's other end was closed, and no file is at fault."""
    program = typer.Typer()

    @program.command()
    def much() -> None:
        with reported(as_json=True):
            print("x" * (1 << 20))

    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed, redirect_stdout(closed), redirect_stderr(StringIO()) as said:
        with pytest.raises(SystemExit) as ended:
            program([])
        with suppress(BrokenPipeError):
            closed.close()
    assert ended.value.code == 1
    assert said.getvalue() == ""


@pytest.mark.parametrize("columns", ["", "80"])
def test_rows_are_folded_to_a_width_and_whole_where_there_is_none(columns: str, tmp_path: Path) -> None:
    name = "/".join(f"block{number}" for number in range(30))
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["logits"], transB=1, name=name),
    ]
    file = save(tmp_path / "long.onnx", nodes, {"weight": np.ones((10, 64), np.float32)})
    done = command("count", str(file), "--track", "digits", COLUMNS=columns)
    assert done.returncode == 0, done.stderr
    assert (name in done.stdout) is (columns == "")


def test_failures_are_json_where_results_are() -> None:
    done = command("count", "--json")
    assert done.stdout == ""
    assert json.loads(done.stderr)["code"] == "settings"


@pytest.mark.parametrize("name", ["empty", "os_system", "torchscript"])
def test_bad_files_end_in_one_line(name: str, tmp_path: Path) -> None:
    bad = CORPUS[name]
    done = command("count", str(bad.make(tmp_path)), "--architecture", "digits", "--track", "digits", "--json")
    assert done.returncode == 1
    assert json.loads(done.stderr)["code"] == bad.error.code


@pytest.mark.parametrize("listing", ["tracks", "architectures"])
def test_json_has_no_colours_though_they_are_forced(listing: str) -> None:
    assert "\x1b" in command(listing, FORCE_COLOR="1").stdout
    assert json.loads(command(listing, "--json", FORCE_COLOR="1").stdout)


def test_tracks_and_architectures_are_listed() -> None:
    tracks = json.loads(command("tracks", "--json").stdout)
    assert {"cifar100", "imagenet", "digits"} <= {track["name"] for track in tracks}
    networks = json.loads(command("architectures", "--json").stdout)
    assert {"pyramidnet", "wideresnet", "digits"} <= {network["name"] for network in networks}
    assert "pyramidnet" in command("architectures").stdout
    assert "36,500,000" in command("tracks").stdout


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
    done = command("count", str(file), "--track", "digits", "--unquantized")
    assert done.returncode == 0, done.stderr
    assert names[0] in done.stdout
    assert "\N{REPLACEMENT CHARACTER}[2J" in done.stdout
    assert "\x1b" not in done.stdout
