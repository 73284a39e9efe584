"""Where the tests find real data: unpacked once, and skipped where it is not there. And plain logs, and no clock for
examples."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest
import structlog

from micronet.tracks import BUILT_IN

pytest_plugins = ["tests.databases"]

_SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def pytest_configure() -> None:
    """How long one example takes is no law: on a machine that does much else it is any time."""
    hypothesis.settings.register_profile("no clock", deadline=None)
    hypothesis.settings.load_profile("no clock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The trips first, which take longest: at the end, what several processes have left is shared out better."""
    items.sort(key=lambda item: "trips" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Without a picture of every local variable, which takes seconds to draw."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The directory beside the repository with real images and published checkpoints."""
    if not _SHARED.is_dir():
        pytest.skip(f"no {_SHARED}")
    return _SHARED


@pytest.fixture(scope="session")
def cifar100_dir() -> Path:
    """A data directory with the real `cifar-100-python/`: MICRONET_DATA's, or the shared images unpacked."""
    given = os.environ.get("MICRONET_DATA")
    if given and (Path(given) / "cifar-100-python" / "test").is_file():
        return Path(given)
    script = _SHARED / "data" / "unpack_cifar100.py"
    if not script.is_file():
        pytest.skip(f"no CIFAR-100: neither in MICRONET_DATA nor {script}")
    return _unpacked(script)


@pytest.fixture(scope="session")
def few_cifar100_dir(cifar100_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the first 5,000 training and 1,000 test images, and a track `few` for what need not be measured on
    all of them."""
    few = tmp_path_factory.mktemp("few")
    folder = few / "cifar-100-python"
    folder.mkdir()
    fields = BUILT_IN["cifar100"].model_dump(mode="json", exclude={"official", "published"})
    own = fields | {"name": "few", "test_images": 1000, "required_correct": 800}
    (few / "tracks").mkdir()
    (few / "tracks" / "few.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in own.items()))
    for name, count in {"train": 5000, "test": 1000}.items():
        whole = pickle.loads((cifar100_dir / "cifar-100-python" / name).read_bytes(), encoding="bytes")
        kept = {key: whole[key][:count] for key in (b"data", b"fine_labels")}
        (folder / name).write_bytes(pickle.dumps(kept, protocol=2))
    return few


def _unpacked(script: Path) -> Path:
    """What `script` writes, made once per user and version of the script, whole or not at all."""
    caches = Path(tempfile.gettempdir()) / f"micronet-tests-{os.getuid()}"
    caches.mkdir(mode=0o700, exist_ok=True)
    assert caches.stat().st_uid == os.getuid(), f"{caches} belongs to somebody else"
    ready = caches / f"cifar100-{hashlib.sha256(script.read_bytes()).hexdigest()[:16]}"
    if ready.is_dir():
        return ready
    with tempfile.TemporaryDirectory(dir=caches) as temporary:
        unpacked = Path(temporary) / "data"
        subprocess.run([sys.executable, str(script), str(unpacked)], check=True, stdout=subprocess.DEVNULL)
        try:
            unpacked.rename(ready)
        except OSError:  # another session was faster
            if not ready.is_dir():
                raise
    return ready
