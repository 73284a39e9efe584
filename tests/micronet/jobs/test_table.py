"""The table of jobs: what an API may read of it without torch, and that every row leads somewhere."""

import inspect
import subprocess
import sys
import typing

import pytest

from micronet.contract import JobSettings, Value
from micronet.jobs import JOBS
from micronet.jobs.table import load


def test_reading_the_table_loads_no_torch() -> None:
    script = "import sys; from micronet.jobs import JOBS, Job, Context; print(*{'torch', 'numpy'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_every_row_leads_to_a_function_of_its_types(kind: str) -> None:
    job = JOBS[kind]
    function = load(job.entry)
    hints = typing.get_type_hints(function)
    assert list(inspect.signature(function).parameters) == ["settings", "checkpoint", "context"]
    assert (hints["settings"], hints["return"]) == (job.settings, job.result)
    assert issubclass(job.settings, JobSettings)
    assert issubclass(job.result, Value)
    assert job.lane in ("short", "long")
    assert job.lane_of(job.settings()) == job.lanes[0] == job.lane
    assert (type(None) in typing.get_args(hints["checkpoint"])) == (job.file == "optional")
    assert job.summary


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_who_answers_with_an_artifact_says_what_it_is_called(kind: str) -> None:
    job = JOBS[kind]
    assert bool(job.artifacts(job.settings())) == job.leaves_files
    assert job.artifact in (*job.artifacts(job.settings()), "")


def test_a_pipeline_makes_a_file_of_each_stage_and_keeps_what_it_began_with() -> None:
    settings = JOBS["pipeline"].settings.model_validate({"stages": [{"stage": "train"}, {"stage": "fuse"}]})
    assert JOBS["pipeline"].artifacts(settings) == ("0-start.onnx", "1-train.onnx", "2-fuse.onnx")


def test_who_trains_while_quantizing_takes_long() -> None:
    job = JOBS["quantize"]
    assert job.lanes == ("short", "long")
    assert job.lane_of(job.settings.model_validate({"train": {}})) == "long"
    assert job.lane_of(job.settings.model_validate({"train": None})) == "short"


@pytest.mark.parametrize("kind", sorted(JOBS))
def test_settings_have_defaults_and_refuse_keys_nobody_knows(kind: str) -> None:
    settings = JOBS[kind].settings
    assert settings.model_validate({}) == settings()
    with pytest.raises(ValueError, match="extra"):
        settings.model_validate({"surprise": 1})
