"""Commands that run any job of the table: here, and on a server."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.commands.jobs import OWN_COMMANDS, is_all_there_will_be, put_all_, sha256_of, with_teachers
from app.server import private_server
from app.settings_text import validated, whole
from micronet.contract import FineTuning, JobSettings, PipelineSettings, TrainResult, TrainSettings
from micronet.contract.pipeline import FuseStage, SparsifyStage, TrainStage
from micronet.errors import NumericalError, Paused, SettingsError
from micronet.jobs import JOBS, Context
from tests.app.in_process import Done, command
from tests.app.test_cli import micronet

BRIEF = ("--track", "digits", "--architecture", "digits", "--set", "steps=3", "--set", "augmentation.policy=none")


def test_every_row_has_a_command() -> None:
    known = command("--help").stdout
    assert all(f" {kind} " in known for kind in JOBS)
    assert JOBS.keys() > OWN_COMMANDS


def test_help_loads_no_torch() -> None:
    code = "import sys, app.commands.program; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("fuse", {"track", "data", "seed", "device", "teacher", "journal", "pause-after"}),
        ("quantize", set()),  # which may learn on its grids
        ("optimize", {"teacher"}),
        ("train", set()),
    ],
)
def test_a_command_has_the_options_that_its_kind_can_do_something_with(kind: str, missing: set[str]) -> None:
    shown = command(kind, "--help").stdout
    named = {"settings", "set", "track", "architecture", "data", "seed", "device", "teacher", "journal", "pause-after"}
    assert {name for name in named if f"--{name} " not in shown} == missing
    assert (" 75 " in shown) is ("pause-after" not in missing)
    assert f"`micronet settings {kind}` lists them" in " ".join(shown.split())


@pytest.mark.parametrize("kind", JOBS)
def test_every_setting_of_a_kind_is_listed_with_its_default(kind: str) -> None:
    listed = command("settings", kind, COLUMNS="")
    rows = {line.split()[0]: line.split()[1] for line in listed.stdout.splitlines()[1:]}
    fields = JOBS[kind].settings.model_fields
    assert rows.keys() >= fields.keys()
    assert all(rows[name] == json.dumps(fields[name].default) for name in ("team", "seed") if name in fields)
    schema = json.loads(command("settings", kind, "--json").stdout)
    assert schema["properties"].keys() == fields.keys()


def test_settings_of_stages_and_of_what_is_said_alone_are_told_apart() -> None:
    listed = [line.split() for line in command("settings", "pipeline", COLUMNS="").stdout.splitlines()]
    assert {tuple(line[:2]) for line in listed} >= {("stages.N:", "train"), ("stages.N:", "quantize")}
    policy = next(line for line in listed if line[0] == "stages.N.fine_tuning.augmentation.policy")
    assert " ".join(policy[1:9]) == '"none"; "trivial" where something beside it is said'


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("score", {0, 1, 2, 3, 130, 143}),
        ("pipeline", {0, 1, 2, 3, 75, 130, 143}),
        ("submit", {0, 1, 2, 3, 4, 130, 143}),
        ("job", {0, 1, 2, 3, 130, 143}),
        ("jobs", {0, 1, 2, 3, 130, 143}),
    ],
)
def test_help_says_the_exit_codes_of_its_command_and_no_others(name: str, codes: set[int]) -> None:
    said = command(name, "--help").stdout.partition("Exit codes:")[2]
    assert {int(code) for code in re.findall(r"\b\d+\b", said)} == codes


def test_recipes_are_json_or_toml(tmp_path: Path) -> None:
    toml, plain = tmp_path / "recipe.toml", tmp_path / "recipe.json"
    toml.write_text('epochs = 3\nmilestones = [0.5, 0.75]\n[augmentation]\npolicy = "none"\n')
    plain.write_text('{"epochs": 3, "milestones": [0.5, 0.75], "augmentation": {"policy": "none"}}')
    settings = whole(f"@{toml}")
    assert settings == whole(f"@{plain}") == whole(plain.read_text())
    assert validated(TrainSettings, settings).augmentation.policy == "none"


@pytest.mark.parametrize(
    ("text", "words"),
    [("epochs = ", "--settings"), ("epochs = 1979-05-27", "date"), ("epoch = 3", "epoch"), ("epochs = -1", "epochs")],
)
def test_what_is_wrong_with_a_recipe_is_said(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        validated(TrainSettings, whole(f"@{tmp_path / 'recipe.toml'}"))


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["epochs=3"], {"epochs": 3}),
        (["augmentation.policy=none", "augmentation.crop=0"], {"augmentation": {"policy": "none", "crop": 0}}),
        (['augmentation={"flip": false}', "augmentation.crop=1"], {"augmentation": {"flip": False, "crop": 1}}),
        (["distillation=null"], {"distillation": None}),
    ],
)
def test_single_settings_go_where_their_path_leads(sets: list[str], expected: Mapping[str, Any]) -> None:
    settings: dict[str, Any] = {}
    put_all_(settings, {("track",): None}, sets)
    assert settings == expected


def test_one_setting_of_one_stage_of_a_recipe() -> None:
    """Whichever comes first; all else is the recipe's."""
    sets = ["stages.0.cuda_graphs=true", "recipe=cifar100", "stages.1.fine_tuning.epochs=2"]
    settings: dict[str, Any] = {}
    put_all_(settings, {}, sets)
    changed = validated(PipelineSettings, settings)
    usual = PipelineSettings(recipe="cifar100")
    first, second, *rest = usual.stages
    assert isinstance(first, TrainStage)
    assert isinstance(second, SparsifyStage)
    assert isinstance(second.fine_tuning, FineTuning)
    fine_tuning = second.fine_tuning.model_copy(update={"epochs": 2})
    expected = (
        first.model_copy(update={"cuda_graphs": True}),
        second.model_copy(update={"fine_tuning": fine_tuning}),
        *rest,
    )
    assert changed == usual.model_copy(update={"stages": expected})


@pytest.mark.parametrize(
    "sets", [["stages.0.epochs=7"], ["stages.0.epochs=7", 'stages=[{"stage": "train"}, {"stage": "fuse"}]']]
)
def test_stages_that_no_recipe_names_are_the_usual_ones_or_those_given(sets: list[str]) -> None:
    settings: dict[str, Any] = {}
    put_all_(settings, {}, sets)
    stages = validated(PipelineSettings, settings).stages
    assert stages[0] == TrainStage(stage="train", epochs=7)
    assert stages[1:] == (PipelineSettings().stages[1:] if len(sets) == 1 else (FuseStage(stage="fuse"),))


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["recipe=cifar100", "stages.3.epochs=1"], r"stages\.3\.epochs: stages has no entry 3; there are 0 to 2"),
        (["recipe=cifar100", "stages.train.epochs=1"], "no entry train; there are 0 to 2"),
        (["stages=[]", "stages.0.epochs=1"], "no entry 0; there are none"),
        (["seed=1", "seed.of.all=1"], r"seed\.of\.all: seed is 1, which has no of"),
        (["bits=null", "bits.mul_bits=4"], "bits is null"),
    ],
)
def test_a_path_that_leads_nowhere_is_said(sets: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        put_all_({}, {}, sets)


def test_a_recipe_that_is_none_is_said_although_a_stage_of_it_is_set() -> None:
    settings: dict[str, Any] = {}
    put_all_(settings, {}, ["recipe=cifar", "stages.0.epochs=1"])
    with pytest.raises(SettingsError, match="recipe: Input should be 'cifar100'"):
        validated(PipelineSettings, settings)


def test_a_single_teacher_needs_no_name(tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.onnx"
    teacher.write_bytes(b"a teacher")
    sha256 = sha256_of(teacher)
    wanted = with_teachers(JOBS["train"], {"distillation": {"weight": 0.25}}, {sha256: teacher})
    assert isinstance(wanted, TrainSettings)
    assert wanted.distillation is not None
    assert (wanted.distillation.teacher, wanted.distillation.weight) == (sha256, 0.25)
    shown: dict[str, object] = {"normalize": {"mean": [0.5], "std": [0.25]}}
    wanted = with_teachers(JOBS["train"], {"distillation": shown}, {sha256: teacher})
    assert wanted.model_dump(mode="json")["distillation"].items() >= {"teacher": sha256, **shown}.items()
    with pytest.raises(SettingsError, match="--teacher"):
        with_teachers(JOBS["train"], {"distillation": {"teacher": sha256}}, {})


def test_train_here_writes_its_network_and_nothing_over(tmp_path: Path) -> None:
    output = ("--output", str(tmp_path / "made"), "--journal", str(tmp_path / "journal"))
    done = micronet("train", *BRIEF, *output, "--json")
    assert done.returncode == 0, done.stderr
    result = TrainResult.model_validate_json(done.stdout)
    made = tmp_path / "made" / result.artifact.name
    assert [path.name for path in (tmp_path / "made").iterdir()] == [made.name]
    assert sha256_of(made) == result.artifact.sha256
    again = command("train", *BRIEF, *output)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    forced = command("train", *BRIEF, *output, "--force")  # and from the journal: the same
    assert forced.returncode == 0, forced.stderr
    assert result.artifact.sha256[:16] in forced.stdout
    assert sha256_of(made) == result.artifact.sha256


def test_a_job_that_pauses_goes_on_to_the_same_file(tmp_path: Path) -> None:
    whole_, pieces = tmp_path / "whole", tmp_path / "pieces"
    short = (*BRIEF[:4], "--set", "epochs=2", "--set", "train_images=64", "--set", "augmentation.policy=none")
    assert command("train", *short, "--output", str(whole_)).returncode == 0
    in_pieces = ("train", *short, "--output", str(pieces), "--journal", str(tmp_path / "journal"), "--pause-after", "0")
    codes = []
    while not codes or codes[-1] == 75:
        made = command(*in_pieces)
        codes.append(made.returncode)
        assert codes[-1] == 0 or "same command goes on" in made.stderr
    assert codes == [75, 75, 75, 0]  # before the first epoch, and after each
    assert (pieces / "trained.onnx").read_bytes() == (whole_ / "trained.onnx").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", *BRIEF), "--journal"),
        (("quantize", "tests/conftest.py", "--journal", "journal"), "without the setting train"),
    ],
)
def test_a_pause_needs_a_journal_that_is_written(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    refused = command(*arguments, "--output", str(tmp_path), "--pause-after", "8")
    assert refused.returncode == 1
    assert words in refused.stderr


def test_a_teacher_that_a_stage_names_teaches_that_stage_alone(tmp_path: Path) -> None:
    file = tmp_path / "teacher.onnx"
    file.write_bytes(b"weights")
    sha256 = sha256_of(file)
    stages = [{"stage": "train", "distillation": {"teacher": sha256}}, {"stage": "sparsify"}]
    wanted = with_teachers(JOBS["pipeline"], {"stages": stages}, {sha256: file})
    assert wanted.distillation is None  # type: ignore[attr-defined]
    assert wanted.stages[1].fine_tuning.distillation is None  # type: ignore[attr-defined]
    everywhere = with_teachers(JOBS["pipeline"], {"stages": [{"stage": "train"}, stages[1]]}, {sha256: file})
    assert everywhere.stages[1].fine_tuning.distillation.teacher == sha256  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("fuse",), 2, "FILE"),
        (("fuse", "tests/conftest.py", "--track", "digits"), 2, "track"),
        (("fuse", "tests/conftest.py", "--set", "track=digits"), 1, "track"),
        (("train", "--set", "epochs"), 1, "KEY=VALUE"),
        (("train", *BRIEF, "--journal", __file__), 1, "is a file; name a directory"),
        (("train", "--track", "digits"), 1, "architecture"),
        (("submit", "--kind", "fly"), 2, "train"),
        (("submit",), 1, "FILE"),
    ],
)
def test_failures_say_what_would_be_right(
    arguments: tuple[str, ...], exit_code: int, words: str, tmp_path: Path
) -> None:
    options = () if arguments[0] == "submit" else ("--output", str(tmp_path))
    done = command(*arguments, *options)
    assert done.returncode == exit_code
    assert words.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_server_trains_with_a_teacher_and_gives_the_network_back(tmp_path: Path) -> None:
    assert command("train", *BRIEF, "--output", str(tmp_path)).returncode == 0
    teacher = ("--teacher", str(tmp_path / "trained.onnx"))
    with private_server(tmp_path / "home", None, tmp_path / "log") as url:
        asked = ("submit", "--kind", "train", *BRIEF, *teacher, "--server", url)
        done = command(*asked, "--output", str(tmp_path / "fetched"), "--json")
        assert done.returncode == 0, done.stderr
        result = TrainResult.model_validate_json(done.stdout)
        assert sha256_of(tmp_path / "fetched" / result.artifact.name) == result.artifact.sha256
        waiting = command(*asked, "--no-wait", "--json")
        assert json.loads(waiting.stdout)["settings"]["distillation"]["teacher"] == sha256_of(Path(teacher[1]))


def road(output: Path, *stages: dict[str, Any]) -> Done:
    learning = {"steps": 3, "augmentation": {"policy": "none"}}
    asked = {
        "track": "digits",
        "architecture": {"name": "digits"},
        "stages": [{"stage": "train", **learning}, *stages],
    }
    return command("pipeline", "--settings", json.dumps(asked), "--output", str(output))


def test_a_pipeline_that_may_not_replace_a_file_says_so_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "2-fuse.onnx").write_text("mine")
    failed = road(tmp_path, {"stage": "fuse"})
    assert failed.returncode == 1
    assert "2-fuse.onnx is there already: give --force" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["2-fuse.onnx"]
    assert (tmp_path / "2-fuse.onnx").read_text() == "mine"


def test_what_a_pipeline_made_before_a_stage_failed_is_kept(tmp_path: Path) -> None:
    tuning = {"epochs": 2, "batch": 8, "learning_rate": 100, "weight_decay": 1.0, "augmentation": {"policy": "none"}}
    failed = road(tmp_path, {"stage": "sparsify", "fine_tuning": tuning})
    assert failed.returncode == 1
    assert "training came apart" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["1-train.onnx"]
    assert command("count", str(tmp_path / "1-train.onnx"), "--track", "digits").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("asked", "kept", "words"),
    [
        (("pipeline",), ["1-train.onnx"], "kept: {output}/1-train.onnx. With --journal DIRECTORY"),
        (("pipeline", "--journal", "{output}/written"), ["written"], "in {output}/written: the same command goes on"),
        (("train", "--architecture", "digits"), [], "nothing of it is kept. With --journal DIRECTORY"),
        (("fuse", "tests/conftest.py"), [], "nothing of it is kept. The same command begins again."),
    ],
)
def test_a_job_that_is_stopped_says_what_is_left_of_it_and_leaves_no_more(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: signal.Signals,
    *,
    asked: tuple[str, ...],
    kept: list[str],
    words: str,
) -> None:
    def stopped(settings: JobSettings, checkpoint: Path | None, context: Context) -> None:
        assert context.outputs is not None
        (context.outputs / "1-train.onnx").write_bytes(b"made")
        signal.raise_signal(number)

    monkeypatch.setattr("micronet.jobs.table.load", lambda entry: stopped)
    before, handler = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)
    done = command(*(one.format(output=tmp_path) for one in asked), "--output", str(tmp_path))
    signal.signal(signal.SIGINT, before)
    assert done.returncode == 128 + number
    assert words.format(output=tmp_path) in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == kept
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(
    ("error", "without", "journaled"),
    [
        (NumericalError("apart"), True, True),
        (MemoryError(), True, False),
        (KeyboardInterrupt(), True, False),
        (SettingsError("damaged"), True, False),
        (Paused(), False, False),
    ],
)
def test_what_stages_made_is_kept_where_nothing_else_leads_to_it(
    error: BaseException, without: bool, journaled: bool, tmp_path: Path
) -> None:
    assert is_all_there_will_be(error, None) is without
    assert is_all_there_will_be(error, tmp_path) is journaled
