"""Pickles that want code, time or memory, each in a container of torch.save."""

import argparse
import builtins
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from micronet.errors import CorruptFile, FileTooLarge, NoStateDict, UnknownFormat, UnsafePickle, UnsupportedTensor
from tests.micronet.checkpoints.bad_file import CANARY, BadFile, content
from tests.micronet.checkpoints.containers import Call, Storage, pickled, saved, tensor, torch_legacy, torch_zip

PROTO = b"\x80\x02"


def _zip(data: bytes) -> Callable[[Path], Path]:
    return lambda folder: torch_zip(folder / "model.pth", data)


def _calling(function: Callable[..., object], *arguments: object) -> Callable[[Path], Path]:
    """A zip whose pickle calls `function`; the text CANARY in an argument becomes the canary's path."""

    def make(folder: Path) -> Path:
        texts = [item.replace("CANARY", str(folder / CANARY)) if isinstance(item, str) else item for item in arguments]
        return torch_zip(folder / "model.pth", pickled({"weight": tensor(Storage()), "x": Call(function, *texts)}))

    return make


def _raw(text: bytes) -> Callable[[Path], Path]:
    """A zip whose pickle is `text`, CANARY in it replaced by the canary's path, strings in length and value."""

    def make(folder: Path) -> Path:
        path = str(folder / CANARY).encode()
        command = b"touch " + path
        return torch_zip(
            folder / "model.pth",
            text.replace(b"LENGTH", bytes([len(command)])).replace(b"COMMAND", command).replace(b"CANARY", path),
        )

    return make


def _in_legacy(folder: Path) -> Path:
    return torch_legacy(folder / "model.pth", pickled(Call(os.system, f"touch {folder / CANARY}"), legacy=True))


def _in_legacy_keys(folder: Path) -> Path:
    data = pickled({"weight": tensor(Storage())}, legacy=True)
    return torch_legacy(folder / "model.pth", data, keys=Call(os.system, f"touch {folder / CANARY}"))


def _plain(folder: Path) -> Path:
    return content(pickle.dumps(Call(os.system, f"touch {folder / CANARY}")))(folder)


def _script(folder: Path) -> Path:
    return content(b"cos\nsystem\n(S'touch " + str(folder / CANARY).encode() + b"'\ntR.")(folder)


class Attributed:
    """Pickles as an object of a class of this test, with attributes."""

    def __init__(self) -> None:
        self.name = "x"


def _text(value: bytes) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value


def _legacy_keys(keys: bytes) -> Callable[[Path], Path]:
    """A legacy file whose list of storages is the pickle `keys`."""
    usual = pickle.dumps(["0"], 2)
    data = pickled({"w": tensor(Storage())}, legacy=True)
    return lambda folder: content(
        torch_legacy(folder / "a", data, storages=b"").read_bytes().replace(usual, PROTO + keys)
    )(folder)


TWO_TEXTS = _text(b"a" * 2**22) + b"q\0" + _text(b"a" * 2**22) + b"q\x01"
"""Two equal texts, h0 and h1, that take long to compare."""

DOUBLING = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200))
"""Two hundred times: remember the value, take it twice, make a pair: 2**200 leaves in 800 bytes."""

GET_ATTRIBUTE = (
    PROTO + b"cbuiltins\ngetattr\ncbuiltins\n__import__\n" + _text(b"os") + b"\x85R" + _text(b"system") + b"\x86R."
)

PICKLES: Mapping[str, BadFile] = {
    "os_system": BadFile(_calling(os.system, "touch CANARY"), UnsafePickle),
    "eval": BadFile(_calling(eval, "open('CANARY', 'w')"), UnsafePickle),
    "exec": BadFile(_calling(exec, "open('CANARY', 'w')"), UnsafePickle),
    "open": BadFile(_calling(open, "CANARY", "w"), UnsafePickle),
    "getattr": BadFile(_raw(GET_ATTRIBUTE), UnsafePickle),
    "python2_builtin": BadFile(_raw(PROTO + b"c__builtin__\neval\n" + _text(b"1") + b"\x85R."), UnsafePickle),
    "posix_stack_global": BadFile(
        _raw(b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x8cLENGTHCOMMAND\x85R."), UnsafePickle
    ),
    "stack_global_from_memo": BadFile(
        _raw(PROTO + _text(b"posix") + b"q\0" + _text(b"system") + b"q\x01" + b"h\0h\x01\x93\x8cLENGTHCOMMAND\x85R."),
        UnsafePickle,
    ),
    "inst": BadFile(_raw(b"(S'touch CANARY'\nios\nsystem\n."), UnsafePickle),
    "obj": BadFile(_raw(b"(cos\nsystem\nS'touch CANARY'\no."), UnsafePickle),
    "extension_code": BadFile(_raw(PROTO + b"\x82\x01)R."), UnsafePickle),
    "persistent_text": BadFile(_raw(PROTO + b"Pos.system\n."), UnsafePickle),
    "new_object": BadFile(_raw(PROTO + b"ctorch\nTensor\n)\x81."), UnsafePickle),
    "new_object_ex": BadFile(_raw(PROTO + b"ctorch\nTensor\n)}\x92."), UnsafePickle),
    "call_of_class": BadFile(_raw(PROTO + b"ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R."), UnsafePickle),
    "call_of_inert": BadFile(_raw(PROTO + b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R."), UnsafePickle),
    "call_of_pairs": BadFile(_raw(PROTO + b")" + DOUBLING + b")R."), UnsafePickle),
    "huge_bytearray": BadFile(_calling(builtins.bytearray, 10**12), UnsafePickle),
    "slow_codec": BadFile(
        _raw(PROTO + b"c_codecs\nencode\n" + _text(b"\xc3\xa9" * 300_000) + _text(b"idna") + b"\x86R."), UnsafePickle
    ),
    "build_on_tensor": BadFile(
        lambda folder: torch_zip(
            folder / "m.pt", pickled(tensor(Storage()))[:-1] + b"}" + _text(b"data") + b"K\x01sb."
        ),
        UnsafePickle,
    ),
    "build_on_dictionary": BadFile(
        _raw(PROTO + b"ccollections\nOrderedDict\n)R}" + _text(b"items") + b"K\x01sb."), UnsafePickle
    ),
    "hooks": BadFile(
        lambda folder: torch_zip(
            folder / "m.pt", pickled({"w": tensor(Storage(), hooks=OrderedDict({1: torch.float32}))})
        ),
        UnsafePickle,
    ),
    "object_array": BadFile(
        lambda folder: saved(folder / "m.pt", {"weight": np.array([{"a": 1}], dtype=object)}), UnsafePickle
    ),
    "numpy_scalar": BadFile(
        lambda folder: saved(folder / "m.pt", {"weight": torch.ones(1), "best": np.float64(0.8)}), UnsafePickle
    ),
    "namespace": BadFile(
        lambda folder: saved(folder / "m.pt", {"state_dict": {}, "args": argparse.Namespace(lr=0.1)}), UnsafePickle
    ),
    "own_class": BadFile(lambda folder: saved(folder / "m.pt", {"weight": Attributed()}), UnsafePickle),
    "whole_model": BadFile(lambda folder: saved(folder / "m.pt", torch.nn.Linear(2, 2)), UnsafePickle),
    "whole_model_legacy": BadFile(
        lambda folder: saved(folder / "m.pt", torch.nn.Linear(2, 2), _use_new_zipfile_serialization=False), UnsafePickle
    ),
    "legacy_system": BadFile(_in_legacy, UnsafePickle),
    "legacy_keys": BadFile(_in_legacy_keys, UnsafePickle),
    "plain_system": BadFile(_plain, UnknownFormat),
    "protocol_0_system": BadFile(_script, UnknownFormat),
    "key_of_pairs": BadFile(_raw(PROTO + b"})" + DOUBLING + b"K\x01s."), UnsafePickle),
    "key_of_huge_number": BadFile(_raw(PROTO + b"}\x8a\xff" + b"\x01" * 255 + b"K\x01s."), UnsafePickle),
    "pairs": BadFile(_raw(PROTO + b")" + DOUBLING + b"."), NoStateDict),
    "pairs_beside_tensor": BadFile(
        lambda folder: torch_zip(
            folder / "m.pt", pickled({"w": tensor(Storage())})[:-1] + _text(b"x") + b")" + DOUBLING + b"s."
        ),
        UnsupportedTensor,
    ),
    "legacy_keys_of_pairs": BadFile(_legacy_keys(b"])" + DOUBLING + b"a."), CorruptFile),
    "legacy_keys_compared": BadFile(_legacy_keys(b"](" + TWO_TEXTS + b"h\0h\x01" * 100_000 + b"e."), CorruptFile),
    "keys_compared": BadFile(_raw(PROTO + TWO_TEXTS + b"}" + b"h\0Nsh\x01Ns" + b"."), CorruptFile),
    "call_of_one_list": BadFile(
        _raw(
            PROTO
            + b"ccollections\nOrderedDict\nq\0]("
            + b"K\x01N\x86" * 100_000
            + b"e\x85q\x01"
            + b"h\0h\x01R" * 30
            + b"."
        ),
        FileTooLarge,
    ),
    "marks": BadFile(_raw(PROTO + b"(" * 100_000 + b"."), FileTooLarge),
    "nested_lists": BadFile(_raw(PROTO + b"]" * 100_000 + b"a" * 99_999 + b"."), NoStateDict),
    "nested_tuples": BadFile(_raw(PROTO + b")" + b"\x85" * 100_000 + b"."), NoStateDict),
    "nested_dictionaries": BadFile(
        _raw(PROTO + (b"}" + _text(b"model")) * 50_000 + b"}" + b"s" * 50_000 + b"."), NoStateDict
    ),
    "list_in_itself": BadFile(_raw(PROTO + b"]q\0h\0a."), NoStateDict),
    "dictionary_in_itself": BadFile(_raw(PROTO + b"}q\0" + _text(b"model") + b"h\0s."), NoStateDict),
    "many_instructions": BadFile(_raw(PROTO + b"NN\x86" * 1_000_000 + b"."), FileTooLarge),
    "many_values": BadFile(_raw(PROTO + b"]" * 3_000_000 + b"."), FileTooLarge),
    "no_stop": BadFile(_raw(PROTO + b"}"), CorruptFile),
    "empty_stack": BadFile(_raw(PROTO + b"\x86."), CorruptFile),
    "memo_missing": BadFile(_raw(PROTO + b"h\x07."), CorruptFile),
    "unknown_instruction": BadFile(_raw(PROTO + b"\xff."), CorruptFile),
    "huge_text": BadFile(_raw(PROTO + b"X\xff\xff\xff\xffabc."), CorruptFile),
    "huge_number": BadFile(_raw(PROTO + b"\x8b\xff\xff\xff\x7f1."), CorruptFile),
    "module_reference": BadFile(_raw(PROTO + _text(b"module") + b"K\x01K\x02\x87Q."), UnsafePickle),
    "old_storage_view": BadFile(
        _raw(PROTO + b"(" + _text(b"storage") + b"ctorch\nFloatStorage\n" + _text(b"0") + _text(b"cpu") + b"K\x04)tQ."),
        UnknownFormat,
    ),
}
