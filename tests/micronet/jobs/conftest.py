"""A trained network to run jobs on."""

from pathlib import Path

import pytest

from micronet.progress import Silence
from micronet.training.demo import train_digits


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A trained digits network: its file, and the settings that score it."""
    path = tmp_path_factory.mktemp("digits") / "digits.pth"
    settings = train_digits(path, Silence())
    return path, settings.model_dump(mode="json")
