"""Which program wrote a zip archive, by the names in it: state dicts, TorchScript and NumPy all come as zips."""

from collections.abc import Callable, Mapping

from micronet.checkpoints.zip_archive import Entry
from micronet.errors import UnknownFormat
from micronet.shown import show_some

STATE_DICT = "Upload what torch.save(model.state_dict(), path) writes instead."

Names = frozenset[str]

KINDS: Mapping[str, Callable[[Names], bool]] = {
    f"a TorchScript archive, which is a program. {STATE_DICT}": lambda names: (
        "constants.pkl" in names or any(name.startswith("code/") for name in names)
    ),
    f"an exported program of torch.export. {STATE_DICT} Or upload it as ONNX.": lambda names: (
        "archive_format" in names or any(name.startswith("serialized_exported_program") for name in names)
    ),
    f"a package of torch.package, which is a program. {STATE_DICT}": lambda names: ".data/extern_modules" in names,
    f"a NumPy archive (npz). {STATE_DICT}": lambda names: any(name.endswith(".npy") for name in names),
    "a Keras model. Convert the network to ONNX.": lambda names: "model.weights.h5" in names,
}
"""What a zip is that is no state dict, and how its names, with and without the leading folder, tell."""


def require_pytorch(entries: Mapping[str, Entry]) -> str:
    """The folder all of a PyTorch file's entries lie in, without the slash.

    Raises UnknownFormat for other zips, saying which program wrote it where that can be told.
    """
    names = frozenset(entries) | {name.partition("/")[2] for name in entries}
    for meaning, fits in KINDS.items():
        if fits(names):
            raise UnknownFormat(f"The file is {meaning}")
    folder = next(iter(entries), "").partition("/")[0]
    if f"{folder}/data.pkl" not in entries or not all(name.startswith(f"{folder}/") for name in entries):
        raise UnknownFormat(
            f"The file is a zip archive, but not one of torch.save (it holds {show_some(entries, 4)}). "
            "Upload the checkpoint inside it, or what torch.save(model.state_dict(), path) writes."
        )
    return folder
