"""One cut to the same score by `prune` and by a named peer, Torch-Pruning (Fang et al. 2023), tuned alike afterwards.

    pip install --no-deps torch-pruning==1.6.1
    python -m tests.benchmarks.pruning [SEEDS]

A network for digits is trained by the train job. Each row is one cut of it: ours at a ratio, then the peer's, of all
layers together, at the smallest share of filters whose score, that of `count` under `challenge` without quantization,
is no higher than ours. What is left is tuned by the same settings, on the same images, and answers the 360 test images.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch_pruning
from torch import nn
from torch.nn import functional as F
from torch_pruning.pruner.importance import GroupMagnitudeImportance, GroupTaylorImportance

import micronet
from micronet.architectures.load import create_network
from micronet.data.datasets import open_split
from micronet.evaluation.inputs import Inputs
from micronet.jobs import JOBS, Context, prepare_process
from micronet.tracks import track

TRACK = track("digits")
ARCHITECTURE = {"name": "digits", "options": {"width": 32}}
LEARNING = {
    "epochs": 40,
    "batch": 64,
    "label_smoothing": 0.1,
    "ema": 0.95,
    "augmentation": {"crop": 1, "flip": False, "policy": "none"},
}
TRAINING = LEARNING | {"learning_rate": 0.2}
TUNING = LEARNING | {"learning_rate": 0.02, "warmup_epochs": 2, "clip_norm": 1.0}
RATIOS = (0.4, 0.6, 0.75, 0.85)
MOST = 0.9
"""Share of a layer's filters that the peer may remove, as of a layer's directions we may."""
PEERS: Mapping[str, Callable[[], Any]] = {"L1": lambda: GroupMagnitudeImportance(p=1), "Taylor": GroupTaylorImportance}
SHOWN = 1000
"""Training images that the peer's gradients are of, as our factors are."""
HALVINGS = 9


def run(kind: str, settings: Mapping[str, Any], file: Path | None, seed: int, name: Path) -> Any:
    """The result of a job, whose network is `name` then."""
    job = JOBS[kind]
    asked = job.settings.model_validate({"track": TRACK.name, "seed": seed, **settings})
    result = job.run(asked, file, Context(device="cpu", outputs=name.parent))
    (name.parent / result.artifact.name).rename(name)
    return result


def score(network: nn.Module | Path) -> float:
    """Under `challenge`, in float32; lower is better."""
    return micronet.count(network, track=TRACK.name, bits=None, policy="challenge").score.total


def cut_by(importance: Callable[[], Any], file: Path, at_most: float) -> nn.Module:
    """The largest network of the peer's that scores no more."""
    least, most, best = 0.0, 1.0, None
    for _ in range(HALVINGS):
        share = (least + most) / 2
        network = _without(importance(), file, share)
        if score(network) <= at_most:
            best, most = network, share
        else:
            least = share
    assert best is not None, "Torch-Pruning gets no network that small"
    return best


def _without(importance: Any, file: Path, share: float) -> nn.Module:
    network = create_network(ARCHITECTURE["name"], ARCHITECTURE["options"], 0)
    missing, _ = network.load_state_dict(micronet.read(file).weights, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    images, labels = Inputs(open_split(TRACK, "train", None), TRACK.mean, TRACK.std).batch(0, SHOWN)
    pruner = torch_pruning.pruner.MetaPruner(
        network.eval(),
        images[:1],
        importance=importance,
        pruning_ratio=share,
        global_pruning=True,
        max_pruning_ratio=MOST,
        ignored_layers=[network.fc],
    )
    F.cross_entropy(network(images), labels).backward()
    pruner.step()
    network.zero_grad()
    return network


def rows(seed: int, scratch: Path) -> Iterator[tuple[float, str, float, int]]:
    """Ratio, whose cut, score as a share of the dense network's, correct test images after tuning."""
    dense = scratch / "dense.onnx"
    taught = run("train", {"architecture": ARCHITECTURE, **TRAINING}, None, seed, dense)
    whole = score(dense)
    yield 0, "dense", 1, taught.accuracy.correct
    for ratio in RATIOS:
        ours = scratch / "ours.onnx"
        pruned = run("prune", {"ratio": ratio, "layer_limit": MOST, "fine_tuning": TUNING}, dense, seed, ours)
        yield ratio, "micronet", score(ours) / whole, pruned.accuracy.correct
        for name, importance in PEERS.items():
            network = cut_by(importance, dense, score(ours))
            theirs = scratch / "theirs.onnx"
            micronet.write(micronet.capture(network, TRACK.input_shape), theirs)
            tuned = run("train", TUNING, theirs, seed, scratch / "tuned.onnx")
            yield ratio, name, score(theirs) / whole, tuned.accuracy.correct


def main(seeds: str = "3") -> None:
    """Print Markdown."""
    prepare_process()
    print("| seed | ratio | cut by | score, of the dense network's | correct |")
    print("| --- | --- | --- | --- | --- |")
    for seed in range(int(seeds)):
        with TemporaryDirectory() as scratch:
            for ratio, whose, share, correct in rows(seed, Path(scratch)):
                print(f"| {seed} | {ratio} | {whose} | {share:.4f} | {correct} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
