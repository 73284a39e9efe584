"""From tensors to a network: what fits, and what the message says of what does not."""

import pytest
import torch
from torch import Tensor, nn

from micronet.architectures import Architecture, Options, table
from micronet.architectures.load import create_network, load_network, sketch_network
from micronet.errors import (
    InvalidArchitectureOptions,
    MissingKeys,
    ShapeMismatch,
    UnexpectedKeys,
    UnknownArchitecture,
    UnsupportedTensor,
)


def tensors() -> dict[str, Tensor]:
    return create_network("digits", {}, seed=5).state_dict()


def test_weights_go_in_and_come_out() -> None:
    network = load_network("digits", {}, tensors())
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(network(images), create_network("digits", {}, seed=5)(images).detach())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_float32_is_shared_and_every_other_float_becomes_it() -> None:
    given = tensors()
    given["fc.weight"] = given["fc.weight"].half()
    given["fc.bias"] = given["fc.bias"].double()
    loaded = load_network("digits", {}, given).state_dict()
    assert loaded["conv1.weight"].data_ptr() == given["conv1.weight"].data_ptr()
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32, torch.int64}
    torch.testing.assert_close(loaded["fc.weight"], given["fc.weight"].float(), rtol=0, atol=0)


def test_counters_may_be_missing() -> None:
    given = {key: tensor for key, tensor in tensors().items() if not key.endswith("num_batches_tracked")}
    assert load_network("digits", {}, given).state_dict()["bn1.num_batches_tracked"].item() == 0


def test_missing_keys_are_listed() -> None:
    given = tensors()
    del given["bn1.running_mean"], given["fc.bias"]
    with pytest.raises(MissingKeys, match=r"digits needs 14 tensors; bn1\.running_mean, fc\.bias are missing\."):
        load_network("digits", {}, given)


def test_a_long_list_is_cut() -> None:
    with pytest.raises(MissingKeys, match=r"conv1\.weight, .* and 7 more are missing") as raised:
        load_network("digits", {}, {"x" * 10_000: torch.zeros(1)})
    assert len(str(raised.value)) < 500


def test_unexpected_keys_are_listed() -> None:
    with pytest.raises(UnexpectedKeys, match=r"digits has no place for extra\.weight\."):
        load_network("digits", {}, {**tensors(), "extra.weight": torch.zeros(1)})


def test_a_prefix_is_noticed() -> None:
    with pytest.raises(MissingKeys, match=r"starts with 'module\.'; without that prefix"):
        load_network("digits", {}, {f"module.{key}": tensor for key, tensor in tensors().items()})


def test_another_network_is_recognised() -> None:
    given = sketch_network("wideresnet", {"depth": 10}).state_dict()
    with pytest.raises(MissingKeys, match="look like those of wideresnet"):
        load_network("resnet_cifar", {}, given)


def test_shapes_say_what_is_and_what_must_be() -> None:
    given = {**tensors(), "fc.weight": torch.zeros(10, 33)}
    with pytest.raises(ShapeMismatch, match=r"fc\.weight is \(10, 33\) and must be \(10, 32\)"):
        load_network("digits", {}, given)


@pytest.mark.parametrize("kind", [torch.zeros(10, dtype=torch.complex64), torch.zeros(10).to_sparse()])
def test_tensors_that_are_no_plain_numbers_are_refused(kind: Tensor) -> None:
    with pytest.raises(UnsupportedTensor, match=r"fc\.bias"):
        load_network("digits", {}, {**tensors(), "fc.bias": kind})


def test_a_name_nearly_right_is_guessed() -> None:
    with pytest.raises(UnknownArchitecture, match=r"Did you mean pyramidnet.*There are pyramidnet, wideresnet"):
        load_network("PyramidNet272", {}, {})


def test_one_seed_one_network() -> None:
    state = torch.get_rng_state()
    first, again, other = (create_network("digits", {}, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(first["conv1.weight"], again["conv1.weight"])
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pyramidnet", {"alpha": 4096}),
        ("wideresnet", {"depth": 1996, "width": 64}),
        ("resnet", {"num_classes": 100_001}),
        ("digits", {"width": 10**9}),
        ("efficientnet", {"width_multiplier": 1e300}),
    ],
)
@pytest.mark.timeout(60)
def test_monsters_are_refused_without_memory(name: str, options: dict[str, object]) -> None:
    with pytest.raises(InvalidArchitectureOptions):
        create_network(name, options)
    with pytest.raises(InvalidArchitectureOptions):
        load_network(name, options, {})


class Forgetful(nn.Module):
    def __init__(self, _options: Options) -> None:
        super().__init__()
        self.register_buffer("secret", torch.ones(1), persistent=False)


def test_a_network_that_keeps_values_outside_its_state_dict_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Architecture("forgetful", "Keeps a secret", Options, f"{__name__}:Forgetful")
    monkeypatch.setattr(table, "architectures", lambda: {"forgetful": row})
    with pytest.raises(ValueError, match="keeps secret outside its state dict"):
        load_network("forgetful", {}, {})
