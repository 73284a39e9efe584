"""From a name, options and tensors to a network that runs."""

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import cast

import torch
from torch import Tensor, nn

from micronet.architectures.lookalike import lookalike
from micronet.architectures.match import match_tensors
from micronet.architectures.options import Options
from micronet.architectures.table import ARCHITECTURES, Architecture, find_architecture
from micronet.errors import InvalidArchitectureOptions, MissingKeys, UnexpectedKeys

MAX_ELEMENTS = 2**29
"""Most values a network may have, parameters and buffers: 2 GiB as float32."""

Build = Callable[[Options], nn.Module]
Fit = Callable[[nn.Module, Mapping[str, Tensor], int | None], nn.Module]


def load_network(
    name: str, options: Mapping[str, object], tensors: Mapping[str, Tensor], activation_bits: int | None = None
) -> nn.Module:
    """The network called `name` with the weights `tensors`, float32, in eval mode, without gradients.

    Nothing is allocated before names and shapes are checked, and float32 tensors are shared, not copied.
    `num_batches_tracked` may be missing. `activation_bits` is the width of activations where the file has exponents
    for them (SCORING section 7); without it, and for any other file, activations are not quantized here.

    Raises UnknownArchitecture, InvalidArchitectureOptions, MissingKeys, UnexpectedKeys, ShapeMismatch,
    UnsupportedTensor; for files with exponents also NotFinite, CorruptFile and SettingsError.
    """
    architecture = find_architecture(name)
    network = _sketch(architecture, architecture.parse(options))
    if architecture.fit is not None:
        network = cast(Fit, resolve_name(architecture.fit))(network, tensors, activation_bits)
    network.load_state_dict(_match(name, network, tensors), assign=True)
    _check_nothing_left(name, network)
    return network.eval().requires_grad_(False)


def create_network(name: str, options: Mapping[str, object], seed: int = 0) -> nn.Module:
    """A freshly initialised network on the CPU, in eval mode, with gradients. One seed, one network.

    torch's own random state stays as it was. Raises UnknownArchitecture, InvalidArchitectureOptions.
    """
    architecture = find_architecture(name)
    parsed = architecture.parse(options)
    _sketch(architecture, parsed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(architecture, parsed).eval()


def sketch_network(name: str, options: Mapping[str, object]) -> nn.Module:
    """The network on the meta device, in eval mode: shapes without values, for counting without memory.

    Raises UnknownArchitecture, InvalidArchitectureOptions.
    """
    architecture = find_architecture(name)
    return _sketch(architecture, architecture.parse(options)).eval()


def _match(name: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict for `network`; where names do not fit, with a hint at the network they do fit."""
    try:
        return match_tensors(name, network, tensors)
    except (MissingKeys, UnexpectedKeys) as error:
        like = lookalike(tensors, ARCHITECTURES, lambda row: _sketch(row, row.parse({})))
        if not like:
            raise
        other = "the same network with other options" if like == name else like
        raise type(error)(f"{error} The names look like those of {other}.") from None


def _sketch(architecture: Architecture, options: Options) -> nn.Module:
    with torch.device("meta"):
        network = _build(architecture, options)
    elements = sum(tensor.numel() for tensor in network.state_dict().values())
    if elements > MAX_ELEMENTS:
        raise InvalidArchitectureOptions(
            f"{architecture.name} with these options has {elements:,} values; at most {MAX_ELEMENTS:,} are built here."
        )
    return network


def _check_nothing_left(name: str, network: nn.Module) -> None:
    """A network of a team's own may keep buffers that no state dict has; they would have no values."""
    left = [key for key, buffer in network.named_buffers() if buffer.is_meta]
    if left:
        raise ValueError(f"architecture {name!r} keeps {left[0]} outside its state dict; make the buffer persistent")


def _build(architecture: Architecture, options: Options) -> nn.Module:
    return cast(Build, resolve_name(architecture.build))(options)
