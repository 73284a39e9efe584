"""Integers and scales give a tensor back to the bit, however wide they are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet.errors import NotWritable
from micronet.graph.grid import Grid
from micronet.onnx_writer.stored import stored

WIDE = (-(2**31), 2**31 - 1)
STEPS = st.floats(2.0**-40, 1, width=32)


@settings(max_examples=50)
@given(STEPS, st.integers(0, 2**30))
def test_biases_of_32_bits_are_written_to_the_bit(step: float, seed: int) -> None:
    """Of every size from one bit to 32; products round at 24, as they do where a file is read."""
    drawn = torch.randint(*WIDE, (1000,), generator=torch.Generator().manual_seed(seed)) >> (torch.arange(1000) % 32)
    integers = torch.cat([drawn, torch.tensor([*WIDE, 0, 2**23 - 1, 2**24 + 1])])
    bias = integers.float() * torch.tensor(step)
    written = stored("bias", bias, Grid(32, *WIDE, (step,), (0,)))
    assert written.integers.dtype == np.int32
    again = torch.from_numpy(written.integers).float() * torch.from_numpy(written.scales)
    assert torch.equal(again, bias)


@pytest.mark.parametrize("values", [[128.0], [-129.0], [0.5], [1.0, 2.25]])
def test_what_is_beside_the_grid_is_refused(values: list[float]) -> None:
    with pytest.raises(NotWritable, match="does not lie on its grid of 8 bits"):
        stored("w", torch.tensor(values), Grid(8, -128, 127, (1.0,), (0,)))
