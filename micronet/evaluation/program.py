"""A graph prepared to run many times: a list of steps over numbered slots."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Slots = list[object]
Step = Callable[[Slots], None]
"""Reads some slots and writes one."""


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in order, and the slots that hold nothing anybody still needs after each.

    start    slots before the first step: constants in place, everything else None
    images   slot of the image batch, result  slot of the logits
    """

    steps: tuple[Step, ...]
    dead: tuple[tuple[int, ...], ...]
    start: tuple[object, ...]
    images: int
    result: int

    def run(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of `images` (N, C, H, W), float32 on the device the program was prepared for.

        Safe to call from several threads at once: all state is in the slots, which every call makes anew.
        """
        slots: Slots = list(self.start)
        slots[self.images] = images
        with torch.inference_mode():
            for step, dead in zip(self.steps, self.dead, strict=True):
                step(slots)
                for slot in dead:
                    slots[slot] = None
        logits = slots[self.result]
        assert isinstance(logits, Tensor)
        return logits
