"""What a search works with: the network, the images, what things score, and where it writes down what it made."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from micronet.contract import OptimizeSettings, ScoreTerms
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.journal import Journal
from micronet.optimization.layer_options import LayerScore
from micronet.optimization.network_parts import NetworkParts
from micronet.progress import Advance
from micronet.training.task import Task


@dataclass(frozen=True, slots=True)
class SearchSetup:
    """All that is the same for every network of a search.

    calibration   normalized images (N, C, H, W) that grids and weights are fitted on
    holdout       images that networks are compared on; hard: as hard as test images
    drop          share of all images that may be lost
    layer_score   part of the score of a layer; score: of a whole network
    training      what networks are trained with, where they are to be
    journal       of a search of the same
    """

    network: NetworkParts
    settings: OptimizeSettings
    calibration: Tensor
    holdout: Inputs
    hard: Inputs
    drop: float
    layer_score: LayerScore
    score: Callable[[Graph], ScoreTerms]
    training: Task
    journal: Journal
    advance: Advance
