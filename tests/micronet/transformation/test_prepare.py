"""What is done to every graph before anybody looks at it."""

from torch import nn

from micronet.analysis.counts import count
from micronet.graph.capture import capture
from micronet.transformation.prepare import prepare, prepare_and_tell


def test_noise_of_training_hides_no_layer_from_its_norm() -> None:
    layers = nn.Conv2d(3, 4, 1), nn.Dropout(0.5), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 10)
    graph = capture(nn.Sequential(*layers), (3, 8, 8))
    fused, merged = prepare_and_tell(graph, fuse=True)
    assert [one.into for one in merged] == ["0"]
    silent = capture(nn.Sequential(layers[0], *layers[2:]), (3, 8, 8))
    ours, theirs = (count(one).layers for one in (fused, prepare(silent, fuse=True)))
    assert [layer.operations for layer in ours] == [layer.operations for layer in theirs]


def test_noise_of_training_stays_where_nothing_is_fused() -> None:
    graph = capture(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 10)), (3, 8, 8))
    assert len(prepare(graph, fuse=False).nodes) == len(graph.nodes)
