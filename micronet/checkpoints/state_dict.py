"""Where in a checkpoint the state dict is, and what its keys are called without the wrappers of training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from micronet.errors import NoStateDict
from micronet.shown import show, show_some

WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "model_state",
    "net_state_dict",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
)
"""Keys that training scripts put a state dict under, by precedence: trained weights before their moving average."""

PREFIXES = ("module.", "_orig_mod.")
"""What nn.DataParallel and torch.compile put before every key."""

LIGHTNING = "pytorch-lightning_version"

MAXIMAL_NESTING = 4


@dataclass(frozen=True, slots=True)
class Found:
    """The entries of a state dict, the keys that led there ("model/state_dict"; "" at the top), what was left out."""

    entries: Mapping[str, object]
    source: str
    warnings: tuple[str, ...]


def find_state_dict(root: object) -> Found:
    """The one state dict in what a file holds.

    A mapping with tensors among its values is a state dict, unless one of WRAPPERS leads on: the first that does is
    followed, up to four deep, and the others are named in a warning. Without any of them, the only other entry that is
    a state dict is taken, with a warning. What lies beside it (optimizer, epoch, accuracy) is left out silently.
    PREFIXES that all keys share are taken off; so is "model." in a file of PyTorch Lightning, and the count that
    torch.optim.swa_utils.AveragedModel keeps beside its "module.". Nothing else is renamed.

    Raises NoStateDict, with the keys that are there instead.
    """
    found = _descend(root, "", MAXIMAL_NESTING, set())
    if found is None:
        raise NoStateDict(
            f"No state dict was found. {_contents(root)} Upload what torch.save(model.state_dict(), path) writes."
        )
    prefixes = (*PREFIXES, "model.") if isinstance(root, Mapping) and LIGHTNING in root else PREFIXES
    return Found(_stripped(found.entries, prefixes), found.source, found.warnings)


def _descend(value: object, source: str, depth: int, seen: set[int]) -> Found | None:
    """Each mapping is searched once, for a pickle may let many keys share one and make the search endless."""
    if not isinstance(value, Mapping) or depth == 0 or id(value) in seen:
        return None
    seen.add(id(value))
    for key in filter(value.__contains__, WRAPPERS):
        found = _descend(value[key], _join(source, key), depth - 1, seen)
        if found is not None:
            return _with_warning(found, value, key)
    if _is_state_dict(value):
        return Found(value, source, ())
    unnamed = {id(item): key for key, item in value.items() if isinstance(key, str) and isinstance(item, Mapping)}
    unnamed = {place: key for place, key in unnamed.items() if place not in seen and _is_state_dict(value[key])}
    if len(unnamed) != 1:
        return None
    (key,) = unnamed.values()
    warning = f"The state dict was found under {show(key)}, which is no usual name for it."
    return Found(value[key], _join(source, key), (warning,))


def _with_warning(found: Found, value: Mapping[str, object], chosen: str) -> Found:
    others = [key for key in WRAPPERS if key != chosen and isinstance(value.get(key), Mapping)]
    if not others:
        return found
    return replace(found, warnings=(*found.warnings, f"{show(chosen)} was read; {show_some(others)} is there too."))


def _is_state_dict(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(isinstance(key, str) for key in value)
        and any(isinstance(item, Tensor) for item in value.values())
    )


def _stripped(entries: Mapping[str, object], prefixes: Iterable[str]) -> Mapping[str, object]:
    averaged = {key: value for key, value in entries.items() if key != "n_averaged"}
    if len(averaged) < len(entries) and averaged and all(key.startswith("module.") for key in averaged):
        entries = averaged
    shared = next((prefix for prefix in prefixes if all(_within(key, prefix) for key in entries)), None)
    if shared is None:
        return entries
    return _stripped({key.removeprefix(shared): value for key, value in entries.items()}, prefixes)


def _within(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and len(key) > len(prefix)


def _join(source: str, key: str) -> str:
    return f"{source}/{key}" if source else key


def _contents(root: object) -> str:
    if isinstance(root, Mapping):
        return f"The top-level keys are {show_some(root)}." if root else "The file holds an empty dictionary."
    return f"The file holds {show(root)}, not a dictionary of tensors."
