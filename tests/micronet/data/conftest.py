"""CIFAR files in small, as Python 2 wrote them and as Python 3 does."""

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from micronet.tracks import BUILT_IN, Track

Content = dict[bytes, object]


@pytest.fixture
def content() -> Content:
    """Six images and labels of CIFAR-100."""
    data = np.random.RandomState(0).randint(0, 256, (6, 3072), dtype=np.uint8)
    labels = [0, 99, 5, 7, 7, 1]
    return {
        b"batch_label": b"testing batch 1 of 1",
        b"data": data,
        b"fine_labels": labels,
        b"labels": [1, 2, 3, 4, 5, 9],
    }


@pytest.fixture
def small() -> Callable[..., Track]:
    """A built-in track with fewer test images."""

    def make(name: str, test_images: int = 6, **changes: object) -> Track:
        return BUILT_IN[name].model_copy(update={"required_correct": 1, "test_images": test_images, **changes})

    return make


@pytest.fixture
def write_cifar(tmp_path: Path) -> Callable[..., Path]:
    """Write `content` (or bytes as they are) as a file of the official layout; return the data directory."""

    def write(
        value: object, file: str = "cifar-100-python/test", how: Callable[[object], bytes] = pickle_python2
    ) -> Path:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(value if isinstance(value, bytes) else how(value))
        return tmp_path

    return write


def pickle_python2(value: object) -> bytes:
    """Protocol 2 as Python 2 and its numpy wrote the official files: byte by byte, since no Python 3 does."""
    return b"\x80\x02" + _write(value) + b"."


@pytest.fixture(params=["python 2", "protocol 2", "protocol 3"])
def writer(request: pytest.FixtureRequest) -> Callable[[object], bytes]:
    """Each way in which such a file may have been written."""
    ways: dict[str, Callable[[object], bytes]] = {
        "python 2": pickle_python2,
        "protocol 2": lambda value: pickle.dumps(value, protocol=2),
        "protocol 3": lambda value: pickle.dumps(value, protocol=3),
    }
    return ways[request.param]


def _write(value: object) -> bytes:
    match value:
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value
        case int():
            return b"J" + struct.pack("<i", value)
        case list():
            return b"](" + b"".join(map(_write, value)) + b"e"
        case dict():
            return b"}(" + b"".join(_write(key) + _write(item) for key, item in value.items()) + b"u"
        case np.ndarray():
            return _write_array(value)
    raise TypeError(f"{type(value)}")


def _write_array(array: np.ndarray) -> bytes:
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(map(_write, array.shape)) + b"t"
    return empty + b"(K\x01" + shape + kind + b"\x89" + _write(array.tobytes()) + b"tb"
