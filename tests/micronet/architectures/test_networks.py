"""Every network of the table: published sizes, shapes, capture."""

import math

import pytest
import torch
from torch import Tensor, nn

from micronet.architectures import ARCHITECTURES
from micronet.architectures.load import create_network, load_network, sketch_network
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from tests.micronet.architectures.wavecomp import LAYOUTS, wavecomp_state_dict

SMALL = {
    "pyramidnet": {"depth": 11, "alpha": 12},
    "wideresnet": {"depth": 10, "width": 1},
    "resnet_cifar": {"depth": 8},
    "resnet": {"depth": 18, "image_size": 64},
    "mobilenetv2": {"width_multiplier": 0.5, "image_size": 64},
    "efficientnet": {"width_multiplier": 0.5, "image_size": 64},
    "densenet": {"depth": 10},
    "kaist": {"width_multiplier": 0.25},
    "digits": {},
}
VARIANTS = [
    *SMALL.items(),
    ("pyramidnet", {"depth": 8, "alpha": 12, "bottleneck": False}),
    ("pyramidnet", {"depth": 11, "alpha": 12, "shakedrop": False, "image_size": 16}),
    ("wideresnet", {"depth": 10, "width": 2, "dropout": 0.3}),
    ("resnet_cifar", {"depth": 8, "shortcut": "B", "num_classes": 7}),
    ("resnet", {"depth": 50, "image_size": 32, "num_classes": 7}),
    ("mobilenetv2", {"width_multiplier": 0.25, "image_size": 32, "output_stride": 8}),
    ("efficientnet", {"width_multiplier": 0.25, "image_size": 32, "output_stride": 4}),
    ("kaist", {"width_multiplier": 0.5, "divisor": 8, "dropout": 0.2}),
]

# Exact numbers as torchvision publishes them; where a paper gives two digits, they stand behind.
PARAMETERS = [
    ("pyramidnet", {}, 26_288_692),  # "26.2 M", cut rather than rounded
    ("pyramidnet", {"num_classes": 10}, 26_288_692 - 90 * 865),
    ("pyramidnet", {"depth": 110, "alpha": 48, "num_classes": 10, "bottleneck": False}, 1_772_706),  # 1.7 M
    ("wideresnet", {}, 36_536_884),
    ("wideresnet", {"num_classes": 10}, 36_479_194),  # 36.5 M
    ("resnet_cifar", {"num_classes": 10}, 269_722),  # 0.27 M
    ("resnet_cifar", {"num_classes": 10, "depth": 56}, 853_018),  # 0.85 M
    ("resnet_cifar", {"num_classes": 10, "depth": 110}, 1_727_962),  # 1.7 M
    ("resnet", {"depth": 18}, 11_689_512),
    ("resnet", {"depth": 34}, 21_797_672),
    ("resnet", {"depth": 50}, 25_557_032),
    ("resnet", {"depth": 101}, 44_549_160),
    ("resnet", {"depth": 152}, 60_192_808),
    ("mobilenetv2", {}, 3_504_872),
    ("mobilenetv2", {"width_multiplier": 1.4}, 6_108_776),  # 6.1 M
    ("efficientnet", {}, 5_288_548),
    ("efficientnet", {"depth_multiplier": 1.1}, 7_794_184),  # B1
    ("densenet", {"num_classes": 10}, 769_162),  # 0.8 M
    ("densenet", {}, 800_032),
    # Weights and biases of the published files (SCORING, section 4), and a second number per channel of a batch norm.
    ("kaist", {}, 463_464 + 7_539 + 6_352),
    ("digits", {}, 16 * 9 + 32 + 32 * 16 * 9 + 64 + 330),
]


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet"])
@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
def test_output_stride_says_how_small_the_last_maps_are(name: str, output_stride: int) -> None:
    """The first reductions go: what is left happens as late as it may. Weights have the shapes they always had."""
    options = {"width_multiplier": 0.1, "image_size": 64, "output_stride": output_stride}
    network = create_network(name, options)
    features = network.get_submodule("features")
    assert features(torch.zeros(1, 3, 64, 64)).shape[2:] == (64 // output_stride,) * 2
    stem = network.get_submodule("features.0")
    assert stem(torch.zeros(1, 3, 64, 64)).shape[2:] == ((32, 32) if output_stride == 32 else (64, 64))
    usual = create_network(name, {**options, "output_stride": 32}).state_dict()
    assert {key: tensor.shape for key, tensor in network.state_dict().items()} == {
        key: tensor.shape for key, tensor in usual.items()
    }


@pytest.mark.parametrize(("name", "options", "count"), PARAMETERS)
def test_parameters(name: str, options: dict[str, object], count: int) -> None:
    assert sum(parameter.numel() for parameter in sketch_network(name, options).parameters()) == count


def test_efficientnet_folded() -> None:
    network = sketch_network("efficientnet", {})
    channels = sum(module.num_features for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    # Folding leaves one bias of the two parameters each channel of a batch norm has.
    assert sum(parameter.numel() for parameter in network.parameters()) - channels == 5_267_540


def test_multiplications_of_the_baseline() -> None:
    """A product per weight and output; a sum of t terms takes t - 1 additions, the bias being one term."""
    network, products, sums = sketch_network("wideresnet", {}), 0, 0

    def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal products, sums
        assert isinstance(module, nn.Conv2d | nn.Linear)
        terms = math.prod(module.weight.shape[1:])
        products += output.numel() * terms
        sums += output.numel() * (terms - 1 + (module.bias is not None))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network(torch.empty(1, 3, 32, 32, device="meta"))
    assert (products, sums) == (5_243_386_368, 5_240_789_504)


def test_every_network_is_tested() -> None:
    assert SMALL.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_capture_with_a_free_batch_gives_the_same_logits(name: str, options: dict[str, object]) -> None:
    network = create_network(name, options, seed=1)
    _check_capture(network, name, options)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pruned_forms_are_captured_too(layout: str) -> None:
    options = {"depth": 11, "alpha": 12, "num_classes": 10}
    network = load_network("pyramidnet", options, wavecomp_state_dict(layout, **options), activation_bits=12)
    _check_capture(network, "pyramidnet", options)


def _check_capture(network: nn.Module, name: str, options: dict[str, object]) -> None:
    parsed = ARCHITECTURES[name].parse(options)
    images = torch.randn(3, *parsed.input_shape)
    graph = capture(network, parsed.input_shape)
    logits = network(images)
    assert logits.shape == (3, parsed.num_classes)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(interpret(graph, images), logits)


@pytest.mark.parametrize(("name", "options"), SMALL.items())
def test_a_network_without_memory_is_captured_too(name: str, options: dict[str, object]) -> None:
    network = sketch_network(name, options)
    graph = capture(network, ARCHITECTURES[name].parse(options).input_shape)
    assert {tensor.device.type for tensor in graph.weights.values()} == {"meta"}


@pytest.mark.parametrize("name", SMALL)
def test_training_mode_gives_every_parameter_a_gradient(name: str) -> None:
    options = SMALL[name]
    network = create_network(name, options).train()
    network(torch.randn(4, *ARCHITECTURES[name].parse(options).input_shape)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("resnet", ["conv1.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.running_var", "fc.bias"]),
        (
            "mobilenetv2",
            [
                "features.0.1.running_mean",
                "features.1.conv.0.0.weight",
                "features.1.conv.1.weight",
                "features.2.conv.1.0.weight",
                "features.2.conv.3.bias",
                "features.18.0.weight",
                "classifier.1.weight",
            ],
        ),
        (
            "efficientnet",
            [
                "features.0.0.weight",
                "features.1.0.block.1.fc1.bias",
                "features.1.0.block.2.1.weight",
                "features.2.0.block.2.fc2.weight",
                "features.2.1.block.3.0.weight",
                "features.8.1.bias",
                "classifier.1.bias",
            ],
        ),
        (
            "densenet",
            [
                "features.conv0.weight",
                "features.denseblock1.denselayer16.norm2.weight",
                "features.transition2.conv.weight",
                "features.norm5.bias",
                "classifier.weight",
            ],
        ),
        ("pyramidnet", ["conv1.weight", "bn1.bias", "layer3.29.bn4.weight", "bn_final.running_mean", "fc.weight"]),
    ],
)
def test_keys_are_those_of_published_weights(name: str, keys: list[str]) -> None:
    assert not set(keys) - set(sketch_network(name, {}).state_dict())
