"""The example workflow, run here as a runner would: green while the score gets better, red when it gets worse."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trips.deployment import Deployment

BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
"""What a runner starts for `shell: bash`."""


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """As it is shipped."""
    parsed: dict[str, Any] = yaml.safe_load(resources.files("app").joinpath("examples", "score.yml").read_text())
    return parsed


@pytest.fixture(scope="module")
def dense_and_quantized(tmp_path_factory: pytest.TempPathFactory, digits: tuple[Path, str]) -> tuple[Path, Path]:
    """A network as two ONNX files: in float32, and on grids, which is the better score."""
    made = []
    for kind, options in (("fuse", ()), ("quantize", ("--settings", digits[1]))):
        directory = tmp_path_factory.mktemp(kind)
        given = ("--architecture", "digits", *options, "--output", str(directory))
        subprocess.run([sys.executable, "-m", "app", kind, str(digits[0]), *given], check=True, capture_output=True)
        made += directory.glob("*.onnx")
    dense, quantized = made
    return dense, quantized


class Runner:
    """A checkout with a workflow in it."""

    def __init__(self, workflow: Mapping[str, Any], directory: Path, environment: Mapping[str, str]) -> None:
        assert workflow["defaults"]["run"]["shell"] == "bash"
        (job,) = workflow["jobs"].values()
        self._scripts = [step["run"] for step in job["steps"] if "run" in step and step["name"] != "Install"]
        self._directory = directory
        self.summary = directory / "summary.md"
        plain = {name: value for name, value in os.environ.items() if not name.startswith("MICRONET_")}
        path = f"{Path(sys.executable).parent}:{plain['PATH']}"
        named = {name: value for name, value in workflow["env"].items() if not value.startswith("${{")}
        assert workflow["env"].keys() - named.keys() <= environment.keys() | {"MICRONET_TOKEN"}
        github = {"GITHUB_STEP_SUMMARY": str(self.summary), "GITHUB_SHA": "0123456789abcdef" * 2}
        self._environment = {**plain, "PATH": path, **named, **github, **environment}

    def run(self, network: Path) -> int:
        """Exit code of the first step that fails; 0 if none does."""
        directory = self._directory
        (directory / self._environment["NETWORK"]).write_bytes(network.read_bytes())
        self.summary.unlink(missing_ok=True)
        for script in self._scripts:
            step = subprocess.run([*BASH, script], cwd=directory, env=self._environment, check=False)
            if step.returncode:
                return step.returncode
        return 0


@pytest.mark.slow
def test_a_merge_fails_when_the_score_gets_worse(
    embedded: Deployment, workflow: dict[str, Any], dense_and_quantized: tuple[Path, Path], tmp_path: Path
) -> None:
    embedded.start_api()
    embedded.start_worker()
    settings = json.loads(workflow["env"]["SETTINGS"]) | {"track": "digits"}
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    given = {"MICRONET_SERVER": embedded.url, "SETTINGS": json.dumps(settings)}
    runner = Runner(workflow, checkout, given)
    dense, quantized = dense_and_quantized

    assert runner.run(dense) == 0
    assert "nothing to be worse than" in runner.summary.read_text()
    assert runner.run(quantized) == 0
    assert runner.run(quantized) == 0
    assert runner.run(dense) == 4
    summary = runner.summary.read_text()
    assert "The score is not good enough" in summary
    assert "of the best entry on the board (0123456789ab)" in summary
    assert summary.count("```") == 2
    with embedded.client() as client:
        board = client.get("/leaderboard", params={"track": "digits"}).json()["entries"]
    assert [entry["name"] for entry in board] == ["0123456789ab"] * 4


def test_a_server_that_is_not_there_fails_it_too(workflow: dict[str, Any], tmp_path: Path) -> None:
    runner = Runner(workflow, tmp_path, {"MICRONET_SERVER": "http://127.0.0.1:1"})
    network = tmp_path / "any.onnx"
    network.write_bytes(b"any")
    assert runner.run(network) == 3
    assert "does not answer" in runner.summary.read_text()


def test_it_runs_when_somebody_wants_to_merge(workflow: dict[str, Any]) -> None:
    assert workflow[True].keys() == {"pull_request", "push"}  # YAML 1.1 takes `on` for true
    assert workflow["permissions"] == {"contents": "read"}
