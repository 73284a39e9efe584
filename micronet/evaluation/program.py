"""A graph prepared to run many times: a list of steps over numbered slots."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Slots = list[object]
Step = Callable[[Slots], None]
"""Reads some slots and writes one."""
Observe = Callable[[str, Tensor], None]
"""Sees a value, by name, before anything overwrites it."""


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in order, and the slots that hold nothing anybody still needs after each.

    writes   the name and slot of the value each step makes
    start    slots before the first step: constants in place, everything else None
    images   slot of the image batch, result  slot of the logits
    """

    steps: tuple[Step, ...]
    dead: tuple[tuple[int, ...], ...]
    writes: tuple[tuple[str, int], ...]
    start: tuple[object, ...]
    images: int
    result: int

    def run(self, images: Tensor, observe: Observe | None = None) -> Tensor:
        """Logits (N, classes) of `images` (N, C, H, W), float32 on the device the program was prepared for.

        `observe` sees every value that a step makes; values inside merged steps are never made.

        Safe to call from several threads at once: all state is in the slots, which every call makes anew.
        """
        slots: Slots = list(self.start)
        slots[self.images] = images
        with torch.inference_mode():
            for step, dead, (name, written) in zip(self.steps, self.dead, self.writes, strict=True):
                step(slots)
                value = slots[written]
                if observe is not None and isinstance(value, Tensor):
                    observe(name, value)
                for slot in dead:
                    slots[slot] = None
        logits = slots[self.result]
        assert isinstance(logits, Tensor)
        return logits
