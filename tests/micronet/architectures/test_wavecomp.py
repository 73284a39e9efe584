"""PyramidNet in its pruned, fused and quantized forms."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from micronet.architectures.load import create_network, load_network
from micronet.architectures.pyramidnet import PyramidNet
from micronet.architectures.quantizer import Quantizer
from micronet.errors import (
    CorruptFile,
    MissingKeys,
    NotFinite,
    SettingsError,
    ShapeMismatch,
    UnexpectedKeys,
    UnsupportedTensor,
)
from tests.micronet.architectures.wavecomp import (
    LAYOUT_FILE,
    LAYOUTS,
    Layout,
    fill,
    fuse,
    quantize,
    rotated,
    shape_list,
    wavecomp_state_dict,
)

SMALL = {"depth": 29, "alpha": 12, "num_classes": 10}


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def trained(bottleneck: bool = True) -> nn.Module:
    """An ordinary PyramidNet whose batch norms are not the identity."""
    options = {**SMALL, "depth": 29 if bottleneck else 20, "bottleneck": bottleneck}
    network = create_network("pyramidnet", options, seed=3)
    generator = torch.Generator().manual_seed(4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.data.copy_(torch.rand(len(tensor), generator=generator) + 0.5)
            for tensor in (module.bias, module.running_mean):
                tensor.data.copy_(torch.randn(len(tensor), generator=generator) / 10)
    return network


@pytest.mark.skipif(not LAYOUT_FILE.exists(), reason="the published list of keys is not here")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_published_key_and_shape_is_met_exactly_and_outputs_are_finite(layout: Layout) -> None:
    shapes = shape_list()[layout]
    network = load_network("pyramidnet", {"depth": 272, "alpha": 200}, fill(shapes), activation_bits=12)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes
    logits = network(images(1))
    assert logits.shape == (1, 100)
    assert torch.isfinite(logits).all()
    assert logits.std() > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_state_dicts_of_any_size_load(layout: Layout) -> None:
    tensors = wavecomp_state_dict(layout, depth=20, alpha=7.5, num_classes=10)
    logits = load_network("pyramidnet", {"depth": 20, "alpha": 7.5, "num_classes": 10}, tensors, 12)(images())
    assert logits.shape == (2, 10)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("bottleneck", [True, False])
def test_rotating_every_layer_and_pruning_nothing_is_the_identity(bottleneck: bool) -> None:
    plain = trained(bottleneck)
    options = {**SMALL, "depth": 29 if bottleneck else 20, "bottleneck": bottleneck}
    factored = load_network("pyramidnet", options, rotated(plain.state_dict()))
    with torch.no_grad():
        torch.testing.assert_close(factored(images()), plain(images()), rtol=1e-4, atol=1e-4)


def test_fused_equals_unfused() -> None:
    pruned = wavecomp_state_dict("pruned", **SMALL)
    unfused, fused = (load_network("pyramidnet", SMALL, tensors) for tensors in (pruned, fuse(pruned)))
    torch.testing.assert_close(fused(images()), unfused(images()), rtol=1e-4, atol=1e-4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in fused.modules()) == 9 + 1


def test_quantizers_without_a_width_change_nothing() -> None:
    fused = wavecomp_state_dict("pruned_fused", **SMALL)
    quantized = load_network("pyramidnet", SMALL, quantize(fused))
    torch.testing.assert_close(quantized(images()), load_network("pyramidnet", SMALL, fused)(images()), rtol=0, atol=0)


def test_a_quantized_file_may_keep_its_batch_norms() -> None:
    pruned = wavecomp_state_dict("pruned", **SMALL)
    quantized = load_network("pyramidnet", SMALL, quantize(pruned))
    torch.testing.assert_close(quantized(images()), load_network("pyramidnet", SMALL, pruned)(images()), rtol=0, atol=0)


def test_wide_quantizers_come_near_and_narrow_ones_do_not() -> None:
    tensors = wavecomp_state_dict("quantized_fused", **SMALL)
    exact, wide, narrow = (load_network("pyramidnet", SMALL, tensors, bits)(images()) for bits in (None, 12, 6))
    assert 0 < (wide - exact).abs().max() < 0.5  # steps of 1/128, through 29 layers
    assert (narrow - exact).abs().max() > (wide - exact).abs().max()


def test_every_quantized_module_gives_values_on_its_grid() -> None:
    network = load_network("pyramidnet", SMALL, wavecomp_state_dict("quantized_fused", **SMALL), 12)
    seen = []

    def check(module: nn.Module, _inputs: object, output: Tensor) -> None:
        scaled = output * 2.0**7
        assert torch.equal(scaled, scaled.round())
        assert scaled.min() >= -2048
        assert scaled.max() <= 2047
        seen.append(module)

    for module in network.modules():
        if isinstance(module, Quantizer):
            module.register_forward_hook(check)
    network(images(1))
    # Input; stem 3; 9 blocks of bn1, 3 convolutions of 3, relu (used twice) and shake_drop; 2 downsamplings;
    # bn_final, relu_final, avgpool; fc 3.
    assert len(seen) == 1 + 3 + 9 * (1 + 9 + 2 + 1) + 2 + 3 + 3


def test_a_quantizer_rounds_half_to_even_and_saturates() -> None:
    values = torch.tensor([0.25, 0.75, -0.25, 1.1, 100.0, -100.0])
    # step 0.5, integers -8..7: 0.5 -> 0, 1.5 -> 2, -0.5 -> 0, 2.2 -> 2
    assert Quantizer(point=1, bits=4)(values).tolist() == [0.0, 1.0, 0.0, 1.0, 3.5, -4.0]


def _set(key: str, value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__setitem__(key, value)


def _drop(key: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__delitem__(key)


POINT_KEY = "quant_net.layer2.0.downsample.quant.forward_bp"
CORE_KEY = "quant_net.layer1.0.conv2.basis.sequential.1.1.weight"


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (_set(POINT_KEY, torch.tensor(float("nan"))), NotFinite, POINT_KEY),
        (_set(POINT_KEY, torch.tensor(float("inf"))), NotFinite, POINT_KEY),
        (_set(POINT_KEY, torch.tensor(2.5)), CorruptFile, "2.5; a binary point is a whole number in -32..32"),
        (_set(POINT_KEY, torch.tensor(1e9)), CorruptFile, POINT_KEY),
        (_set(POINT_KEY, torch.zeros(2)), ShapeMismatch, POINT_KEY),
        (_set(POINT_KEY, torch.tensor(1j)), UnsupportedTensor, POINT_KEY),
        (_drop(POINT_KEY), MissingKeys, POINT_KEY),
        (_drop("quant_input.forward_bp"), MissingKeys, "quant_input.forward_bp"),
        (_drop(CORE_KEY), MissingKeys, CORE_KEY),
        (_set(CORE_KEY, torch.zeros(5, 77, 3, 3)), ShapeMismatch, "sequential.0.conv.conv.weight"),
        (_set(CORE_KEY, torch.zeros(77, 5, 3, 3)), ShapeMismatch, "sequential.2.2.weight"),
        (_set(CORE_KEY, torch.zeros(0, 5, 3, 3)), ShapeMismatch, CORE_KEY),
        (_set(CORE_KEY, torch.tensor(1.0)), ShapeMismatch, CORE_KEY),
        (_set("quant_net.layer1.0.bn2.bn2.weight", torch.ones(18)), UnexpectedKeys, "layer1.0.bn2"),
        (_set("quant_net.layer9.forward_bp", torch.tensor(1.0)), UnexpectedKeys, "layer9"),
    ],
)
def test_damage_is_named(damage: Callable[[dict[str, Tensor]], None], error: type[Exception], words: str) -> None:
    tensors = wavecomp_state_dict("quantized_fused", **SMALL)
    damage(tensors)
    with pytest.raises(error, match=words.replace(".", r"\.")) as raised:
        load_network("pyramidnet", SMALL, tensors, activation_bits=12)
    assert raised.type is error


def test_ranks_that_do_not_meet_name_both_tensors() -> None:
    tensors = wavecomp_state_dict("pruned", **SMALL)
    tensors["fc.basis.sequential.1.weight"] = torch.zeros(3, 4)
    with pytest.raises(ShapeMismatch) as raised:
        load_network("pyramidnet", SMALL, tensors)
    assert "fc.basis.sequential.0.linear.weight" in str(raised.value)
    assert "fc.basis.sequential.1.weight (3, 4)" in str(raised.value)


@pytest.mark.parametrize("bits", [0, 1, 33, -4])
def test_a_width_out_of_range_is_refused(bits: int) -> None:
    with pytest.raises(SettingsError, match=r"2\.\.32"):
        load_network("pyramidnet", SMALL, wavecomp_state_dict("quantized_fused", **SMALL), bits)


def test_an_ordinary_file_stays_an_ordinary_network() -> None:
    plain = trained()
    network = load_network("pyramidnet", SMALL, plain.state_dict(), activation_bits=12)
    assert isinstance(network, PyramidNet)
    torch.testing.assert_close(network(images()), plain(images()).detach(), rtol=0, atol=0)
