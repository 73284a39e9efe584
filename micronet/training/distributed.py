"""Several processes that train one network together, started by torch's own launcher: `torchrun`."""

import atexit
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from micronet.errors import SettingsError
from micronet.journal import Entry, Journal

T = TypeVar("T")

PATIENCE = timedelta(hours=24)
"""How long processes wait for one another. All wait while the first measures or searches alone, for hours with a large
network; torch's own limits, 10 and 30 minutes, would end them. Where one dies the launcher ends the others at once."""


@dataclass(frozen=True, slots=True)
class World:
    """Which process of how many this is. The one of rank 0 is the first: it alone measures, writes and speaks.

    All of them have to call the same methods in the same order. Alone, nothing is exchanged.
    """

    rank: int = 0
    size: int = 1

    def check(self, batch: int, images: int) -> None:
        """Raise SettingsError unless a batch can be shared out evenly, and of all images each process gets one."""
        if batch % self.size:
            raise SettingsError(f"batch {batch} cannot be shared by {self.size} processes evenly: choose a multiple.")
        if images < self.size:
            raise SettingsError(
                f"there are fewer training images ({images}) than processes ({self.size}): start fewer processes, or "
                "learn from more images."
            )

    def part(self, indices: Tensor) -> Tensor:
        """This process's share of a batch's indices (n,): as many for each; what cannot be shared is left out."""
        each = len(indices) // self.size
        return indices if self.size == 1 else indices[self.rank * each : (self.rank + 1) * each]

    def together(self, network: nn.Module, device: torch.device) -> nn.Module:
        """`network` so that gradients are averaged over all, beginning with the first process's weights."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def share_(self, tensors: Iterable[Tensor]) -> None:
        """The first process's values in these, everywhere."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def mean(self, value: Tensor) -> float:
        """Mean of a scalar over all."""
        if self.size > 1:
            distributed.all_reduce(value)
        return float(value) / self.size

    def from_first(self, compute: Callable[[], T]) -> T:
        """What `compute` gives in the first process; the others wait for it."""
        if self.size == 1:
            return compute()
        found: list[T | None] = [compute() if self.rank == 0 else None]
        distributed.broadcast_object_list(found, 0)
        [value] = found
        return value  # type: ignore[return-value]  # None only where `compute` gives it


ALONE = World()


def join(device: torch.device) -> World:
    """Meet the others that the launcher's environment names, over nccl on CUDA, else gloo; without it, be alone."""
    if not distributed.is_torchelastic_launched():
        return ALONE
    if not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        atexit.register(distributed.destroy_process_group)
    return World(distributed.get_rank(), distributed.get_world_size())


def own_device(device: torch.device) -> torch.device:
    """Under the launcher, of several GPUs the one of this process's number on its machine."""
    if device.type != "cuda" or device.index is not None or not distributed.is_torchelastic_launched():
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def is_first() -> bool:
    """Whether this process is the one that writes and speaks; known before any of them has met another."""
    return not distributed.is_torchelastic_launched() or os.environ["RANK"] == "0"


@dataclass(frozen=True, slots=True)
class SharedJournal:
    """One journal for all: the first process reads and writes it, and the others hear what it read."""

    world: World
    journal: Journal

    def read(self, name: str) -> Entry | None:
        """The entry, or None where there is none."""
        return self.world.from_first(lambda: self.journal.read(name))

    def write(self, name: str, entry: Entry) -> None:
        """Put it in place of what was there."""
        if self.world.rank == 0:
            self.journal.write(name, entry)
