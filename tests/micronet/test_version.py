"""The version is known wherever the library runs: installed, or from its source tree."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import micronet
from micronet.version import version

TREE = Path(micronet.__file__).parent.parent
_WRITES = """
import sys
from importlib import metadata

def none(name):
    raise metadata.PackageNotFoundError(name)

metadata.version = none
from micronet.jobs.result import scorer
from micronet.onnx_writer.writing import to_model
from tests.micronet.training.lessons import digits_graph

print(scorer("cpu", 0, "", None).version, to_model(digits_graph()).producer_version)
"""


@pytest.mark.skipif(not (TREE / "pyproject.toml").exists(), reason="the library under test is an installed one")
def test_a_source_tree_that_is_not_installed_says_its_own_version() -> None:
    [stated] = re.findall(r'^version = "(.+)"$', (TREE / "pyproject.toml").read_text(), re.MULTILINE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TREE), str(Path.cwd())))}
    ran = subprocess.run(
        [sys.executable, "-c", _WRITES], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.split() == [stated, stated]


def test_an_installed_library_says_what_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    version.cache_clear()
    monkeypatch.setattr(metadata, "version", lambda name: f"9.9.9 of {name}")
    try:
        assert version() == "9.9.9 of micronet"
    finally:
        version.cache_clear()
