"""What each call that a pickle may make would give, as a claim: one row per function, none of which is called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from micronet.checkpoints.limits import Limits
from micronet.checkpoints.pickle_globals import ADVICE, INERT, STORAGES, UNSUPPORTED_TENSORS
from micronet.checkpoints.tensor_claims import StorageClaim, TensorClaim, layout_problem, storage_problem, unsupported
from micronet.errors import CorruptFile, UnsafePickle
from micronet.shown import show


@dataclass(frozen=True, slots=True)
class Global:
    """A name of a pickle, looked up nowhere."""

    name: str


class Ordered(dict[object, object]):
    """An OrderedDict of a pickle; a type of its own because PyTorch hangs the `_metadata` of state dicts on it."""


def call(function: object, arguments: object, limits: Limits) -> object:
    """The value of `function(*arguments)`, symbolically.

    Raises UnsafePickle for a function without a row or arguments it does not take.
    """
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise UnsafePickle(f"The pickle calls {show(function)}, which is no function that rebuilds tensors. {ADVICE}")
    if function.name in UNSUPPORTED_TENSORS:
        return TensorClaim(unsupported(UNSUPPORTED_TENSORS[function.name]))
    if function.name not in CALLS:
        raise UnsafePickle(f"The pickle calls {show(function.name)}, which may only be named. {ADVICE}")
    try:
        return CALLS[function.name](limits, *arguments)
    except TypeError as error:
        raise UnsafePickle(
            f"The pickle calls {show(function.name)} with arguments it does not take. {ADVICE}"
        ) from error


def copied_by(arguments: object) -> int:
    """How many entries a call on `arguments` may copy, they and what they hold; CHARACTERS of text count as one.

    A memo hands one list to any number of calls, so these are not bounded by the instructions that filled it.
    """
    given = arguments if isinstance(arguments, tuple) else ()
    entries = len(given) + sum(len(item) for item in given if isinstance(item, list | tuple | dict | frozenset))
    return entries + sum(len(item) for item in given if isinstance(item, str | bytes)) // CHARACTERS


CHARACTERS = 32
"""Characters that take about the memory of one entry of a list."""


def check_key(key: object) -> str | int | float | bool | None:
    """`key`, if it hashes and compares in constant time: nested tuples can be made to hash for ages.

    Raises UnsafePickle for any other type, CorruptFile for text longer than KEY_CHARACTERS.
    """
    if isinstance(key, str) and len(key) > KEY_CHARACTERS:
        raise CorruptFile(
            f"The pickle has the key {show(key)} of {len(key)} characters; a name is short and printable."
        )
    if key is None or isinstance(key, str | bool | float) or (isinstance(key, int) and key.bit_length() <= 64):
        return key
    raise UnsafePickle(f"A dictionary in the pickle has {show(key)} for a key, not a name or a number. {ADVICE}")


KEY_CHARACTERS = 2**16
"""Longest key of a dictionary, and of a storage. Two equal keys are compared as often as a pickle names them."""


def _tensor(limits: Limits, *arguments: object) -> TensorClaim:
    """Four arguments as old PyTorch wrote them, or requires_grad, hooks and metadata (lazy conjugation) after them."""
    if not 4 <= len(arguments) <= 7:
        raise TypeError
    storage, offset, size, stride, *rest = arguments
    requires_grad, hooks, metadata = rest + [False, None, None][len(rest) :]
    if not isinstance(storage, StorageClaim) or not isinstance(requires_grad, bool):
        raise TypeError
    if hooks:
        raise UnsafePickle(f"A tensor in the pickle has hooks, which are code. {ADVICE}")
    if metadata:
        return TensorClaim(unsupported("a lazily conjugated or negated view"))
    return TensorClaim(
        storage_problem(storage) or layout_problem(storage.numel, offset, size, stride, limits.dimensions)
    )


def _parameter(limits: Limits, tensor: object, requires_grad: object, hooks: object) -> TensorClaim:
    if not isinstance(tensor, TensorClaim) or not isinstance(requires_grad, bool) or hooks:
        raise TypeError
    return tensor


def _ordered(limits: Limits, pairs: object = ()) -> Ordered:
    """Python 2 gave the entries as a list of pairs, Python 3 puts them in afterwards."""
    if not isinstance(pairs, list | tuple):
        raise TypeError
    return Ordered({check_key(key): value for key, value in map(_pair, pairs)})


def _counter(limits: Limits, counts: object = None) -> dict[object, object]:
    """The milestones of a learning rate schedule are a Counter."""
    if not isinstance(counts, dict | None) or not all(isinstance(count, int) for count in (counts or {}).values()):
        raise TypeError
    return dict(counts or {})


def _set(limits: Limits, items: object = ()) -> frozenset[object]:
    if not isinstance(items, list | tuple):
        raise TypeError
    return frozenset(check_key(item) for item in items)


def _size(limits: Limits, size: object) -> tuple[object, ...]:
    if not isinstance(size, tuple | list) or not all(type(length) is int for length in size):
        raise TypeError
    return tuple(size)


def _text(limits: Limits, name: object, index: object = None) -> str:
    if not isinstance(name, str) or not isinstance(index, int | None):
        raise TypeError
    return show(name)


def _bytes(limits: Limits, text: object, codec: object) -> bytes:
    """How protocol 2 spells bytes. Other codecs than latin-1 may take time quadratic in the text."""
    if not isinstance(text, str) or codec != "latin1":
        raise TypeError
    return text.encode("latin1")


def _pair(item: object) -> tuple[object, object]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise TypeError
    return item[0], item[1]


CALLS: Mapping[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.serialization._get_layout": _text,
    "torch.Size": _size,
    "torch.device": _text,
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "builtins.set": _set,
    "_codecs.encode": _bytes,
}
"""Each takes the limits and the arguments of the call; TypeError stands for arguments the function does not take."""

ALLOWED = INERT | CALLS.keys() | STORAGES.keys() | UNSUPPORTED_TENSORS.keys()
"""Every name a pickle may mention."""
