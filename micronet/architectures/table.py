"""The table of networks, and how a team adds its own. Needs no torch: builders are named by path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from pydantic import ValidationError

from micronet.architectures import options as o
from micronet.errors import InvalidArchitectureOptions, UnknownArchitecture

GROUP = "micronet.architectures"
"""Entry point group under which an installed package offers an `Architecture` of its own."""
FAULTS = 5
"""Faults a message names at once."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network, described without building it.

    name     what requests and the command line call it
    summary  one line, with the paper
    options  model of its options; its bounds are the first guard against absurd sizes
    build    "module:function" of `(options) -> nn.Module`, imported when first needed. Forward takes (N, C, H, W),
             gives logits (N, classes), changes nothing in place, never branches on values; all it keeps is in its
             state dict, for it is built without memory first
    fit      "module:function" of `(network, tensors, activation_bits) -> nn.Module`, or none. Gives a network built
             on the meta device the form that the tensors of a file have, for files in more than one form
    """

    name: str
    summary: str
    options: type[o.Options]
    build: str
    fit: str | None = None

    def parse(self, options: Mapping[str, object]) -> o.Options:
        """Checked options, defaults filled in. Raises InvalidArchitectureOptions, which names the faults."""
        try:
            return self.options.model_validate(dict(options))
        except ValidationError as error:
            raise InvalidArchitectureOptions(self._faults(error)) from None

    def _faults(self, error: ValidationError) -> str:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'together':.60}: {fault['msg'].removeprefix('Value error, ')}"
            + (f" (got {fault['input']!r:.60})" if fault["loc"] else "")
            for fault in error.errors()[:FAULTS]
        )
        return f"{self.name}: {faults}. Its options are {', '.join(self.options.model_fields)}."


def tabulate(rows: Iterable[Architecture]) -> Mapping[str, Architecture]:
    """Architectures by name. Raises ValueError if two have one name: nothing is silently replaced."""
    table: dict[str, Architecture] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"two architectures are called {row.name!r}: {table[row.name].build} and {row.build}")
        table[row.name] = row
    return MappingProxyType(table)


def _here(module: str) -> str:
    return f"{__package__}.{module}:build"


ARCHITECTURES: Mapping[str, Architecture] = tabulate(
    [
        Architecture(
            "pyramidnet",
            "PyramidNet for CIFAR, basic or bottleneck, with ShakeDrop (Han et al. 2017, Yamada et al. 2018); "
            "also pruned in an eigenbasis, fused and quantized",
            o.PyramidNetOptions,
            _here("pyramidnet"),
            fit=f"{__package__}.wavecomp:fit_",
        ),
        Architecture(
            "wideresnet",
            "WideResNet for CIFAR (Zagoruyko and Komodakis 2016)",
            o.WideResNetOptions,
            _here("wideresnet"),
        ),
        Architecture(
            "resnet_cifar",
            "ResNet for CIFAR: 20, 32, 44, 56, 110 layers (He et al. 2016)",
            o.CifarResNetOptions,
            _here("resnet_cifar"),
        ),
        Architecture(
            "resnet",
            "ResNet for ImageNet: 18, 34, 50, 101, 152 layers (He et al. 2016)",
            o.ResNetOptions,
            _here("resnet"),
        ),
        Architecture(
            "mobilenetv2",
            "MobileNetV2 with a width multiplier (Sandler et al. 2018)",
            o.MobileNetV2Options,
            _here("mobilenetv2"),
        ),
        Architecture(
            "efficientnet",
            "EfficientNet-B0, or scaled from it (Tan and Le 2019)",
            o.EfficientNetOptions,
            _here("efficientnet"),
        ),
        Architecture(
            "densenet",
            "DenseNet-BC for CIFAR (Huang et al. 2017)",
            o.DenseNetOptions,
            _here("densenet"),
        ),
        Architecture(
            "kaist",
            "Inverted residuals with gates for CIFAR: the network of KAIST AI (MicroNet Challenge 2019), or wider",
            o.KaistOptions,
            _here("kaist"),
        ),
        Architecture(
            "digits",
            "Two convolutions and a linear layer for 8x8 handwritten digits",
            o.DigitsOptions,
            _here("digits"),
        ),
    ]
)
"""The networks that come with the library."""


@cache
def architectures() -> Mapping[str, Architecture]:
    """The library's networks and those of installed packages, by name.

    Raises ValueError on a name that is taken, TypeError on an entry point that is no Architecture.
    """
    return tabulate([*ARCHITECTURES.values(), *map(_load, entry_points(group=GROUP))])


def find_architecture(name: str) -> Architecture:
    """The architecture of that name. Raises UnknownArchitecture, with the nearest names."""
    table = architectures()
    if name in table:
        return table[name]
    near = get_close_matches(name.lower(), table, n=3)
    question = f" Did you mean {' or '.join(near)}?" if near else ""
    raise UnknownArchitecture(f"No architecture is called {name!r:.80}.{question} There are {', '.join(table)}.")


def _load(entry: EntryPoint) -> Architecture:
    row = entry.load()
    if not isinstance(row, Architecture):
        raise TypeError(f"entry point {entry.name!r} of {GROUP} is a {type(row).__name__}, not an Architecture")
    return row
