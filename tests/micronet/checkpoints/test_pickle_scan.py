"""The symbolic reading of a pickle: what it claims, and that its tables agree with PyTorch's."""

import io
import pickle
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._weights_only_unpickler import _get_allowed_globals

from micronet.checkpoints.limits import Limits
from micronet.checkpoints.pickle_calls import ALLOWED, KEY_CHARACTERS
from micronet.checkpoints.pickle_scan import STEPS, scan_pickle
from micronet.checkpoints.tensor_claims import layout_problem
from micronet.errors import CheckpointError, CorruptFile, FileTooLarge
from tests.micronet.checkpoints.containers import Storage, pickled, tensor

DIMENSIONS = 8


def scan(data: bytes) -> object:
    return scan_pickle(io.BytesIO(data), Limits()).root


def test_allowed_names_are_among_those_torch_allows() -> None:
    types = {str(dtype) for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
    assert ALLOWED - types <= set(_get_allowed_globals())


def test_instructions_are_pickles_own() -> None:
    assert all(hasattr(pickle, name) for name in STEPS)


def test_facts_name_storages_and_tensors() -> None:
    facts = scan_pickle(io.BytesIO(pickled({"a": tensor(Storage("7", 4)), "b": tensor(Storage("7", 4))})), Limits())
    assert [(claim.key, claim.numel, claim.nbytes) for claim in facts.storages.values()] == [("7", 4, 16)]
    assert len(facts.tensors) == 2
    assert isinstance(facts.root, dict)
    assert list(facts.root) == ["a", "b"]


def test_storages_have_short_keys() -> None:
    scan(pickled(tensor(Storage("a" * KEY_CHARACTERS))))
    with pytest.raises(CorruptFile, match="characters"):
        scan(pickled(tensor(Storage("a" * (KEY_CHARACTERS + 1)))))


COPIES = {
    "OrderedDict": b"ccollections\nOrderedDict\nq\0](" + b"K\x01N\x86" * 100 + b"e\x85",
    "set": b"c__builtin__\nset\nq\0](" + b"K\x01" * 100 + b"e\x85",
    "Size": b"ctorch\nSize\nq\0](" + b"K\x01" * 100 + b"e\x85",
    "Counter": b"ccollections\nCounter\nq\0}(" + b"".join(b"K%cK\x01" % key for key in range(100)) + b"u\x85",
    "encode": b"c_codecs\nencode\nq\0X" + (3200).to_bytes(4, "little") + b"a" * 3200 + b"X\6\0\0\0latin1\x86",
    "what is not called": b"ctorch._utils\n_rebuild_sparse_tensor\nq\0(" + b"N" * 101 + b"t",
}
"""A function, h0, and arguments for it with a hundred entries in some five hundred instructions at most."""


@pytest.mark.parametrize("name", COPIES)
def test_calls_on_one_memoized_argument_are_charged_for_its_entries(name: str) -> None:
    def calling(times: int) -> io.BytesIO:
        return io.BytesIO(b"\x80\x02" + COPIES[name] + b"q\x01" + b"h\0h\x01R" * times + b".")

    limits = Limits(pickle_steps=1000)
    scan_pickle(calling(9), limits)
    with pytest.raises(FileTooLarge, match="copy"):
        scan_pickle(calling(10), limits)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
        lambda items: (
            st.lists(items) | st.dictionaries(st.text() | st.integers(-5, 5), items) | st.tuples(items, items)
        ),
        max_leaves=20,
    )
)
def test_plain_values_are_read_as_pickle_reads_them(value: object) -> None:
    assert scan(pickle.dumps(value, 2)) == value


@given(st.binary(max_size=60))
def test_any_pickle_is_read_or_refused(tail: bytes) -> None:
    with suppress(CheckpointError):
        scan(b"\x80\x02" + tail)


@settings(max_examples=300)
@given(
    st.integers(0, 30),
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=4),
)
def test_accepted_layouts_see_each_stored_value_at_most_once(
    numel: int, offset: int, dims: list[tuple[int, int]]
) -> None:
    size, stride = tuple(length for length, _ in dims), tuple(step for _, step in dims)
    places = [offset]
    for length, step in dims:
        places = [place + index * step for place in places for index in range(length)]
    if layout_problem(numel, offset, size, stride, DIMENSIONS) is None:
        assert len(set(places)) == len(places)
        assert all(place < numel for place in places)


@pytest.mark.parametrize(
    "value", [torch.randn(2, 3, 4).permute(2, 0, 1), torch.randn(5, 5)[1:4, ::2], torch.tensor(1.0)]
)
def test_layouts_of_ordinary_views_are_accepted(value: torch.Tensor) -> None:
    numel = value.untyped_storage().nbytes() // 4
    assert layout_problem(numel, value.storage_offset(), tuple(value.shape), value.stride(), DIMENSIONS) is None
