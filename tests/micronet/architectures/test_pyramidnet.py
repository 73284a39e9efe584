"""PyramidNet's widths and shortcut, and ShakeDrop."""

import pytest
import torch
from torch import nn

from micronet.architectures.load import create_network, sketch_network
from micronet.architectures.pyramidnet import PyramidBlock
from micronet.architectures.shakedrop import ShakeDrop


def blocks(network: nn.Module) -> list[PyramidBlock]:
    return [module for module in network.modules() if isinstance(module, PyramidBlock)]


def test_widths_grow_by_alpha_over_all_blocks() -> None:
    # 3 blocks of 12/3 = 4 channels each: 20, 24, 28, each times 4 behind its bottleneck
    widths = [
        block.conv3.weight.shape[:2] for block in blocks(sketch_network("pyramidnet", {"depth": 11, "alpha": 12}))
    ]
    assert widths == [(80, 20), (96, 24), (112, 28)]


def test_the_new_channels_of_a_shortcut_are_zero_and_the_old_ones_averaged() -> None:
    block = PyramidBlock(4, 8, stride=2, bottleneck=False, drop_probability=0.0).eval()
    nn.init.zeros_(block.bn3.weight)  # silences the branch
    x = torch.arange(64.0).view(1, 4, 4, 4)
    y = block(x)
    assert y.shape == (1, 8, 2, 2)
    assert torch.equal(y[:, :4], nn.functional.avg_pool2d(x, 2))
    assert not y[:, 4:].any()


def test_drop_probability_rises_to_a_half_in_the_last_block() -> None:
    network = sketch_network("pyramidnet", {"depth": 29, "alpha": 12})
    assert [block.shake_drop.drop_probability for block in blocks(network)] == [0.5 * k / 9 for k in range(1, 10)]
    silent = sketch_network("pyramidnet", {"depth": 29, "alpha": 12, "shakedrop": False})
    assert {block.shake_drop.drop_probability for block in blocks(silent)} == {0.0}


def test_evaluation_is_the_mean_of_training() -> None:
    torch.manual_seed(0)
    shake = ShakeDrop(0.3)
    branch = torch.ones(8, 2, 3, 3)
    mean = torch.stack([shake(branch).mean() for _ in range(4000)]).mean()
    # One draw has a variance below 1, so the mean of 4000 has a standard error below 0.016.
    assert mean.item() == pytest.approx(0.7, abs=0.05)
    torch.testing.assert_close(shake.eval()(branch), torch.full_like(branch, 0.7))


def test_training_draws_one_scale_per_image_and_another_for_its_gradient() -> None:
    torch.manual_seed(0)
    shake = ShakeDrop(1 - 1e-9)
    branch = torch.ones(64, 2, 3, 3, requires_grad=True)
    forward = shake(branch)
    forward.sum().backward()
    assert branch.grad is not None
    for scales, low in ((forward, -1.0), (branch.grad, 0.0)):
        assert scales.flatten(1).std(1).max() < 1e-6  # one per image
        assert scales.flatten(1)[:, 0].unique().numel() == 64
        assert scales.min() >= low
        assert scales.max() <= 1
    assert not torch.allclose(forward, branch.grad)


def test_a_batch_that_is_kept_passes_unchanged() -> None:
    branch = torch.randn(4, 2, 3, 3, requires_grad=True)
    kept = ShakeDrop(1e-9)(branch)
    kept.sum().backward()
    assert torch.equal(kept, branch)
    assert torch.equal(branch.grad, torch.ones_like(branch))


def test_training_mode_is_differentiable_from_end_to_end() -> None:
    network = create_network("pyramidnet", {"depth": 11, "alpha": 12, "num_classes": 5}).train()
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
