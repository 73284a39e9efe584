"""The team's networks: counts worked out from names and shapes of their tensors alone, in each of the three forms."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from micronet.analysis.counts import Counts, count
from micronet.architectures.load import load_network
from micronet.graph.capture import capture
from micronet.scoring.policies import Widths
from tests.micronet.analysis.graphs import parameters_of, totals, weigh
from tests.micronet.architectures.wavecomp import LAYOUT_FILE, LAYOUTS, Layout, fill, shape_list, wavecomp_state_dict

SIDES = {"layer1": 32, "layer2": 16, "layer3": 8}
TEAM = Widths(param_bits=9, mul_bits=12, add_bits=32, exponent_bits=8)


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names they have without quantizers: quant_net.conv1.conv1.weight is conv1.weight."""
    plain = {}
    for key, tensor in tensors.items():
        if key.startswith("quant_net.") and not key.endswith("forward_bp"):
            module, _, leaf = key.removeprefix("quant_net.").rpartition(".")
            plain[f"{module.rpartition('.')[0]}.{leaf}"] = tensor
        elif not key.endswith("forward_bp"):
            plain[key] = tensor
    return plain


def side_of(module: str) -> int:
    """Height and width of what `module` makes.

    A stage halves the image in its first block, in the core of conv2; all before that still has the size of the stage
    before.
    """
    stage, _, rest = module.partition(".")
    if stage == "bn_final":
        return 8
    if stage not in SIDES:
        return 32
    block, _, layer = rest.partition(".")
    early = layer == "conv2.basis.sequential.0.conv" or layer.startswith(("bn1", "conv1", "bn2"))
    return 2 * SIDES[stage] if stage != "layer1" and block == "0" and early else SIDES[stage]


def places(module: str) -> int:
    return 1 if module.startswith("fc.") else side_of(module) ** 2


def by_hand(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Multiplications and additions of each kind of layer."""
    costs = dict.fromkeys(("sums", "norms", "relus", "shakedrops", "shortcuts", "pools", "additions"), (0, 0))

    def pay(kind: str, multiplications: int, additions: int) -> None:
        costs[kind] = (costs[kind][0] + multiplications, costs[kind][1] + additions)

    for key, tensor in tensors.items():
        module, _, leaf = key.rpartition(".")
        if leaf == "weight" and tensor.dim() > 1:
            terms = tensor.flatten(1).count_nonzero(1)
            biased = int(f"{module}.bias" in tensors)
            sums = sum(max(int(count) + biased - 1, 0) for count in terms)
            pay("sums", places(module) * int(terms.sum()), places(module) * sums)
        elif leaf == "running_mean":
            pay("norms", places(module) * len(tensor), places(module) * len(tensor))
    for key, tensor in tensors.items():  # rotations out tell how wide each convolution is
        layer, _, part = key.partition(".basis.sequential.2.")
        if not part.endswith("weight") or not layer.startswith("layer"):
            continue
        channels, area = len(tensor), places(f"{layer}.basis.sequential.2")
        if layer.endswith(("conv1", "conv2")):
            pay("relus", channels * area, 0)
        else:
            pay("shakedrops", channels * area, 0)
            pay("additions", 0, channels * area)
    for stage in ("layer2", "layer3"):  # the shortcut is averaged over 2x2 values
        inputs = len(tensors[f"{stage}.0.bn1.weight"]) * SIDES[stage] ** 2
        pay("shortcuts", inputs, 3 * inputs)
    features = len(tensors["bn_final.weight"])
    pay("relus", features * 64, 0)
    pay("pools", features, 63 * features)
    return costs


KINDS = {
    "conv2d": "sums",
    "linear": "sums",
    "batch_norm": "norms",
    "relu": "relus",
    "mul": "shakedrops",
    "add": "additions",
    "avg_pool2d": "pools",
}


def found(counts: Counts) -> dict[str, tuple[int, int]]:
    """The same of the counter's layers; its last average pool is the network's, the others are shortcuts."""
    costs = dict.fromkeys(("sums", "norms", "relus", "shakedrops", "shortcuts", "pools", "additions"), (0, 0))
    for layer in counts.layers:
        if layer.op == "quantize":
            assert layer.operations.all_multiplications == layer.operations.all_additions == 0
            continue
        kind = "shortcuts" if "downsample" in layer.name else KINDS[layer.op]
        before = costs[kind]
        operations = layer.operations
        costs[kind] = (before[0] + operations.all_multiplications, before[1] + operations.all_additions)
    return costs


def check(layout: Layout, tensors: dict[str, Tensor], options: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(1)
    for key, tensor in tensors.items():  # 45 % of every matrix is zero, as in the submissions
        if key.endswith("weight") and tensor.dim() > 1:
            tensor[torch.rand(tensor.shape, generator=generator) < 0.45] = 0
    counts = count(capture(load_network("pyramidnet", options, tensors, activation_bits=12), (3, 32, 32)))
    plain = unwrapped(tensors)
    right = by_hand(plain)
    assert found(counts) == right
    assert totals(counts) == tuple(map(sum, zip(*right.values(), strict=True)))
    check_storage(layout, counts, plain)


def check_storage(layout: Layout, counts: Counts, plain: Mapping[str, Tensor]) -> None:
    """Matrices and biases as they are; scale and shift of each norm that is left."""
    matrices = [tensor for key, tensor in plain.items() if key.endswith("weight") and tensor.dim() > 1]
    rotations_out = [tensor for key, tensor in plain.items() if key.endswith("bias") and ".basis." in key]
    channels = sum(len(tensor) for key, tensor in plain.items() if key.endswith("running_mean"))
    others = 2 * channels + sum(map(len, rotations_out))
    nonzero = sum(int(tensor.count_nonzero()) for tensor in matrices)
    elements = sum(tensor.numel() for tensor in matrices) + others
    assert parameters_of(counts) == (elements, nonzero + others)
    exponents = len(matrices)
    assert sum(layer.exponents for layer in counts.layers) == exponents
    multiplications, additions = totals(counts)
    assert weigh(counts, "report", widths=TEAM) == (
        multiplications * 12 + additions * 32 + exponents * 8,
        (nonzero + others) * 9 + elements,
    )
    quantizers = sum(parameter.exponents for layer in counts.layers for parameter in layer.parameters)
    assert (quantizers > 0) is (layout == "quantized_fused") is counts.quantized
    bits = 32 if counts.quantized else 16
    masked = sum(
        int(tensor.count_nonzero()) * bits + (tensor.numel() if bool((tensor == 0).any()) else 0) for tensor in matrices
    )
    assert weigh(counts, "challenge", "masked")[1] == masked + others * bits + quantizers * 8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_small_network_of_the_teams_form(layout: Layout) -> None:
    options = {"depth": 20, "alpha": 12, "num_classes": 10}
    check(layout, wavecomp_state_dict(layout, **options), options)  # type: ignore[arg-type]


@pytest.mark.skipif(not LAYOUT_FILE.exists(), reason="the published list of keys is not here")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_networks_of_the_submissions(layout: Layout) -> None:
    check(layout, fill(shape_list()[layout]), {"depth": 272, "alpha": 200})
