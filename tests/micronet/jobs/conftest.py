"""A trained network to run jobs on, and few images."""

import pickle
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


@pytest.fixture(scope="session")
def hundred_cifar100_dir(few_cifar100_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `few_cifar100_dir` with the first 100 test images, and a track `hundred`: for what is the same on any."""
    hundred = tmp_path_factory.mktemp("hundred")
    images = Path("cifar-100-python")
    (hundred / images).mkdir()
    (hundred / "tracks").mkdir()
    (hundred / images / "train").symlink_to(few_cifar100_dir / images / "train")
    few = pickle.loads((few_cifar100_dir / images / "test").read_bytes(), encoding="bytes")
    kept = {key: values[:100] for key, values in few.items()}
    (hundred / images / "test").write_bytes(pickle.dumps(kept, protocol=2))
    own = (few_cifar100_dir / "tracks" / "few.toml").read_text()
    for line, wanted in {'name = "few"': 'name = "hundred"', "= 1000": "= 100", "= 800": "= 80"}.items():
        assert own.count(line) == 1
        own = own.replace(line, wanted)
    (hundred / "tracks" / "hundred.toml").write_text(own)
    return hundred
