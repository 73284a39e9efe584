"""The train stage."""

from micronet.contract import Training, TrainingReport
from micronet.graph.ir import Graph
from micronet.training.fit import fit
from micronet.training.network import TrainableNetwork
from micronet.training.task import Task


def train(graph: Graph, how: Training, task: Task) -> tuple[Graph, TrainingReport]:
    """`graph` trained, and how it went. Raises NumericalError where training came apart."""
    return fit(TrainableNetwork(graph, shakedrop=how.shakedrop, hold_zeros=how.hold_zeros), how, task)
