"""Bad files, each with the error it must give: `CORPUS` maps a name to what makes the file, for any test to use.

A file that tries to run code would leave a file called CANARY beside itself.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.micronet.checkpoints.bad_file import CANARY, BadFile
from tests.micronet.checkpoints.bad_formats import FORMATS
from tests.micronet.checkpoints.bad_onnx import ONNX
from tests.micronet.checkpoints.bad_pickles import PICKLES
from tests.micronet.checkpoints.bad_safetensors import SAFETENSORS
from tests.micronet.checkpoints.bad_tensors import TENSORS
from tests.micronet.checkpoints.bad_zips import ZIPS

__all__ = ["CANARY", "CORPUS", "BadFile", "make_all"]

CORPUS: Mapping[str, BadFile] = {**FORMATS, **PICKLES, **ZIPS, **TENSORS, **SAFETENSORS, **ONNX}


def make_all(directory: Path) -> dict[str, Path]:
    """Every file of the corpus by name, each in a folder of its own below `directory`."""
    paths = {}
    for name, bad in CORPUS.items():
        folder = directory / name
        folder.mkdir(parents=True)
        paths[name] = bad.make(folder)
    return paths
