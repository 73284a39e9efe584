"""What a searched policy is judged by: how many images are answered right in the best of several draws."""

import pytest
import torch
from torch import Tensor, nn

from micronet.contract import Accuracy, Augmentation, AugmentationPolicy, AugmentSettings
from micronet.data.split import Split
from micronet.errors import NumericalError
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.training.augmentation import Augmenter
from micronet.training.augmentation.search import Answers, Candidate, best_of_draws, least, tried
from micronet.training.images import TrainingImages
from tests.micronet.training.augmentation.test_policies import policy

NOTHING = policy((("invert", 0, 0),), (("invert", 0, 0),))
INVERTING = policy((("invert", 0, 0),), (("invert", 1, 0),))


class Bright(nn.Module):
    """Of a bright image it says class 1, of a dark one class 0, and is sure of it."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3)) - 0.5
        return torch.stack([-4 * mean, 4 * mean], 1)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return capture(Bright().eval(), (1, 2, 2))


def judged(graph: Graph, policy: AugmentationPolicy | str, draws: int) -> Answers:
    """400 dark images of class 0, but for 100 of class 1: inverted, these are right, and the others wrong."""
    labels = torch.tensor([0, 0, 0, 1]).repeat(100)
    split = Split.of("planted", torch.zeros(400, 1, 2, 2, dtype=torch.uint8), labels)
    inputs = Inputs(split, (0.0,), (1.0,))
    how = Augmentation(crop=0, flip=False, policy=policy)
    return best_of_draws(graph, TrainingImages(inputs, torch.device("cpu"), Augmenter(how)), draws, seed=3)


def test_a_policy_that_varies_images_is_better_than_none(graph: Graph) -> None:
    """By the mean of single draws doing nothing is: 3/4 are right as they are, and 1/2 where each second is inverted.

    Of 5 draws, all are alike for 1 image in 16: then 3/4 of those not inverted are right, and 1/4 of the others. So
    15/16 + 1/16 x 1/2 = 31/32 are right at least once, 387.5 of 400.
    """
    nothing, inverting = (judged(graph, policy, draws=1) for policy in (NOTHING, INVERTING))
    assert nothing.accuracy.correct == 300
    assert nothing.loss < inverting.loss
    assert nothing.shortfall < inverting.shortfall
    nothing, inverting = (judged(graph, policy, draws=5) for policy in (NOTHING, INVERTING))
    assert nothing.accuracy.correct == 300
    assert 375 < inverting.accuracy.correct < 400
    assert inverting.accuracy.total == 400
    assert inverting.loss < nothing.loss
    assert inverting.shortfall < nothing.shortfall


@pytest.mark.parametrize("draws", [1, 5, 7])
def test_without_anything_to_draw_each_draw_is_the_image(graph: Graph, draws: int) -> None:
    """Logits 2 and -2: cross-entropy log(1 + exp(-4)) of the three quarters that are right, and 4 more of the rest."""
    answers = judged(graph, "none", draws)
    assert answers.accuracy.correct == 300
    assert answers.loss == pytest.approx(torch.tensor(-4.0).exp().log1p().item() + 4 / 4)


def test_one_image_more_is_worth_more_than_any_loss_and_of_equal_ones_the_least_loss_wins() -> None:
    given = [Answers(Accuracy.of(correct, 9), loss) for correct, loss in ((8, 1e6), (7, 0.0), (7, 0.1), (7, 1e6))]
    assert [one.shortfall for one in given] == sorted(one.shortfall for one in given)
    assert len({one.shortfall for one in given}) == 4


def test_the_estimator_goes_where_most_is_right() -> None:
    """By hand: an image is wrong for each list that inverts. Of 60 candidates, the later half is better."""

    def answers(policy: AugmentationPolicy) -> Answers:
        inverting = sum(one.operation == "invert" for operations in policy.policies for one in operations)
        chances = [one.probability for operations in policy.policies for one in operations]
        return Answers(Accuracy.of(9 - inverting, 9), sum(chances))

    def searched(seed: int) -> list[Candidate]:
        return tried(answers, AugmentSettings(candidates=60, lists=2, operations=1), seed)

    candidates = searched(0)
    assert all(one.answers == answers(one.policy) for one in candidates)
    assert all([len(operations) for operations in one.policy.policies] == [1, 1] for one in candidates)
    shortfalls = [one.answers.shortfall for one in candidates]
    assert sum(shortfalls[30:]) < 0.9 * sum(shortfalls[:30])
    assert candidates == searched(0)
    assert candidates != searched(1)
    assert [answers(policy).shortfall for policy in least(candidates, 10)] == sorted(shortfalls)[:10]


def test_a_network_that_came_apart_is_said_to() -> None:
    with pytest.raises(NumericalError, match="loss nan: its training came apart"):
        tried(lambda _: Answers(Accuracy.of(0, 9), float("nan")), AugmentSettings(), 0)
