"""A symbolic reading of a checkpoint's pickle: what it would build, found out without building any of it.

The machine follows the instructions that PyTorch's own weights-only unpickler knows and no others. It calls nothing: a
global is its name, a storage or tensor is the claim it makes. What passes may then be given to torch.load.
"""

import io
import pickletools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from micronet.checkpoints.failures import guarded
from micronet.checkpoints.limits import Limits
from micronet.checkpoints.pickle_calls import ALLOWED, Global, Ordered, call, check_key, copied_by
from micronet.checkpoints.pickle_globals import ADVICE, STORAGES, full_name, refuse
from micronet.checkpoints.tensor_claims import StorageClaim, TensorClaim
from micronet.errors import CorruptFile, FileTooLarge, UnknownFormat, UnsafePickle
from micronet.shown import show

RESAVE = "Save the state dict again with torch.save and upload the whole file."


@dataclass(frozen=True, slots=True)
class PickleFacts:
    """What a pickle describes: its top value, and every storage and tensor it claims, used or not."""

    root: object
    storages: Mapping[str, StorageClaim]
    tensors: tuple[TensorClaim, ...]


def scan_pickle(stream: io.BytesIO, limits: Limits) -> PickleFacts:
    """Follow one pickle from where `stream` stands to its end; `stream` is left there.

    Raises UnsafePickle for a global or an instruction that reaches code, UnknownFormat for a pickle protocol that the
    weights-only unpickler does not read, FileTooLarge over a limit, CorruptFile for anything that is no pickle.
    """
    start = stream.tell()
    with guarded("the pickle in the file", RESAVE):
        machine = _Machine(limits)
        for opcode, argument in _instructions(stream, limits):
            step = STEPS.get(opcode)
            if step is None:
                stream.seek(start)
                raise _refused_opcode(stream, opcode, limits)
            step(machine, argument)
        return PickleFacts(machine.stack.pop(), machine.storages, tuple(machine.tensors))


def _instructions(stream: io.BytesIO, limits: Limits) -> Iterator[tuple[str, object]]:
    count = 0
    for opcode, argument, _ in islice(pickletools.genops(stream), limits.pickle_steps):
        count += 1
        if opcode.name == "STOP":
            return
        yield opcode.name, argument
    raise FileTooLarge(f"The pickle in the file has more than {count} instructions; a state dict needs far fewer.")


def _refused_opcode(stream: io.BytesIO, found: str, limits: Limits) -> CorruptFile | UnsafePickle | UnknownFormat:
    """Why to refuse a pickle with an instruction we do not follow: the code it reaches, if it reaches any."""
    strings: list[str] = ["", ""]
    memo: dict[object, str] = {}
    for opcode, argument in _instructions(stream, limits):
        if opcode in PUTS:
            memo[len(memo) if argument is None else argument] = strings[-1]
        elif isinstance(argument, str) or opcode in GETS:
            strings = [strings[-1], argument if isinstance(argument, str) else memo.get(argument, "")]
        if opcode in ("GLOBAL", "INST"):
            _check_global(str(argument))
        elif opcode == "STACK_GLOBAL":
            _check_global(" ".join(strings))
        elif opcode in CODE:
            return UnsafePickle(f"The pickle has the instruction {opcode}, which makes objects of any class. {ADVICE}")
    return UnknownFormat(
        f"The pickle has the instruction {found}, of a pickle protocol that torch.load does not read safely. "
        "Save the state dict again with torch.save and its default protocol, 2."
    )


def _check_global(argument: str) -> str:
    module, _, name = argument.partition(" ")
    found = full_name(module, name)
    if found not in ALLOWED:
        refuse(found)
    return found


class _Machine:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[object, object] = {}
        self.storages: dict[str, StorageClaim] = {}
        self.tensors: list[TensorClaim] = []
        self.copied = 0

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        if len(self.marks) >= self.limits.pickle_depth:
            raise FileTooLarge(
                f"The pickle nests more than {self.limits.pickle_depth} containers; a state dict nests few."
            )
        self.marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def put(self, index: object) -> None:
        self.memo[index] = self.stack[-1]

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise CorruptFile(f"The pickle takes values that it never made. {RESAVE}")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.push(items)

    def extend(self, items: Iterable[object]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise CorruptFile(f"The pickle appends to {show(target)}, which is no list. {RESAVE}")
        target.extend(items)

    def set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise CorruptFile(f"The pickle puts entries into {show(target)}, which is no dictionary. {RESAVE}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[check_key(key)] = value

    def set_item(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def named(self, argument: object) -> None:
        self.push(Global(_check_global(str(argument))))

    def reduce(self, _: object) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.copied += copied_by(arguments)
        if self.copied > self.limits.pickle_steps:
            raise FileTooLarge(
                f"Calls in the pickle copy more than {self.limits.pickle_steps} entries; a state dict has far fewer."
            )
        value = call(function, arguments, self.limits)
        if isinstance(value, TensorClaim):
            self.tensors.append(value)
        self.push(value)

    def build(self, _: object) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is not Ordered or not isinstance(state, dict) or not state.keys() <= {"_metadata"}:
            raise UnsafePickle(f"The pickle sets attributes of an object other than a state dict. {ADVICE}")

    def persistent(self, _: object) -> None:
        claim = _storage(self.stack.pop())
        check_key(claim.key)
        if self.storages.setdefault(claim.key, claim) != claim:
            raise CorruptFile(f"The pickle describes the storage {show(claim.key)} in two ways. {RESAVE}")
        self.push(claim)


def _storage(identity: object) -> StorageClaim:
    match identity:
        case ("storage", Global(kind), str(key), str(), int(numel)) | (
            "storage",
            Global(kind),
            str(key),
            str(),
            int(numel),
            None,
        ) if kind in STORAGES and 0 <= numel < 2**62 and type(numel) is int:
            return StorageClaim(key, STORAGES[kind], numel)
        case ("storage", _, _, _, _, tuple()):
            raise UnknownFormat(
                "The file was saved by PyTorch 0.3 or older. Load it there and save the state dict again."
            )
        case ("module", *_):
            raise UnsafePickle(f"The pickle holds a whole model with its source code. {ADVICE}")
    raise CorruptFile(f"The pickle has a reference that is no storage of numbers. {RESAVE}")


Step = Callable[[_Machine, object], None]

PUTS = frozenset({"MEMOIZE", "BINPUT", "LONG_BINPUT"})
GETS = frozenset({"BINGET", "LONG_BINGET"})

CODE = frozenset({"OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"})
"""Instructions that make objects; in a pickle that is refused anyway, they are the reason to give."""

STEPS: Mapping[str, Step] = {
    "PROTO": lambda machine, version: None,
    "MARK": _Machine.mark,
    "GLOBAL": _Machine.named,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_mark()),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "BININT": _Machine.push,
    "BININT1": _Machine.push,
    "BININT2": _Machine.push,
    "LONG1": _Machine.push,
    "BINFLOAT": _Machine.push,
    "BINUNICODE": _Machine.push,
    "SHORT_BINSTRING": _Machine.push,
}
"""The instructions of the weights-only unpickler, less NEWOBJ, which makes objects of a class, and EMPTY_SET."""
