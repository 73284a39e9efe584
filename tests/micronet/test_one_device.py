"""Whatever the device, nothing is mixed in from another, nothing is read too early, and a step waits for nothing.

On a GPU that is pretended, which stands in where there is none: whether kernels agree, only a real one shows.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import micronet
from micronet.architectures.load import create_network
from micronet.contract import (
    NO_AUGMENTATION,
    Augmentation,
    AugmentationOperation,
    AugmentationPolicy,
    Distillation,
    Normalization,
    Training,
)
from micronet.data.split import Split
from micronet.evaluation.accuracy import evaluate, logits_of
from micronet.evaluation.inputs import Inputs
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs import JOBS, Context
from micronet.pruning.blocks import find_blocks
from micronet.pruning.factors import factors, sampled
from micronet.training.augmentation.operations import OPERATIONS
from micronet.training.fit import fit
from micronet.training.mixing import mix
from micronet.training.network import TrainableNetwork
from micronet.training.quantized import quantized_network
from micronet.training.task import Task
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_weights
from tests.micronet.networks import IMAGE, halfway, images, network, quantized
from tests.micronet.pretended import CPU, GPU, Fault, Gpu, Stream, There, pretended
from tests.micronet.training.lessons import SHORT, Dying, Killed, digits_graph, digits_task, same

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real one")

CUDA = torch.device("cuda")
SHAPE = (3, 8, 8)
POLICY = AugmentationPolicy(
    policies=tuple(
        (AugmentationOperation(operation=name, probability=0.9), AugmentationOperation(operation="rotate"))
        for name in OPERATIONS
    )
)
EVERYTHING = SHORT.model_copy(
    update={
        "epochs": 1,
        "batch": 24,
        "learning_rate": 0.05,
        "mixup": 0.2,
        "cutmix": 1.0,
        "ema": 0.9,
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
        "warmup_epochs": 0.5,
        "augmentation": Augmentation(crop=1, flip=True, policy=POLICY, cutout=3),
        "distillation": Distillation(
            teacher="0" * 64, normalize=Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.3, 0.35))
        ),
        "precision": "float32",
    }
)
RECORDED = EVERYTHING.model_copy(update={"cuda_graphs": True})
FEW_OPERATIONS = {"augmentation": Augmentation(policy="none", cutout=3)}


def shaken(zeros: bool = True) -> Graph:
    """With batch norms, ShakeDrop, and weights that are zero and stay so."""
    module = create_network("pyramidnet", {"depth": 11, "alpha": 12.0, "num_classes": 10, "image_size": 8}, 0)
    if zeros:
        fc = module.get_parameter("fc.weight")
        fc.data[:, ::2] = 0.0
    with torch.no_grad():
        return capture(module, SHAPE)


def noise(count: int = 72) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (count,), generator=generator)
    return Inputs(Split.of("noise", pixels, labels), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def lesson(device: torch.device) -> Task:
    task, shown = digits_task(), noise()
    holdout = replace(shown, split=shown.split.subset(20, 0))
    return replace(task, train=shown, holdout=holdout, device=device, teacher=lambda _: shaken(zeros=False))


def trained(how: Training, task: Task) -> Graph:
    return fit(TrainableNetwork(shaken()), how, task)[0]


def assert_close(one: Graph, other: Graph, start: Graph) -> None:
    """And neither is where it started."""
    for name, weight in one.weights.items():
        torch.testing.assert_close(weight, other.weights[name], rtol=1e-3, atol=1e-4, msg=name)
    assert not same(one, start)


@pytest.mark.parametrize("change", [{}, {**FEW_OPERATIONS, "optimizer": "adam", "learning_rate": 3e-5}])
def test_a_gpu_learns_what_the_cpu_learns_with_and_without_a_recording(change: Mapping[str, Any]) -> None:
    """Everything at once: what is drawn is the same everywhere."""
    how, recorded = (one.model_copy(update=change) for one in (EVERYTHING, RECORDED))
    here = trained(how, lesson(CPU))
    with pretended():
        there = trained(how, lesson(CUDA))
        assert same(trained(recorded, lesson(CUDA)), there)
    assert_close(here, there, shaken())


def test_in_half_precision_too() -> None:
    with pretended():
        found = trained(RECORDED.model_copy(update={**FEW_OPERATIONS, "precision": "auto"}), lesson(CUDA))
    assert all(weight.isfinite().all() for weight in found.weights.values())
    assert not same(found, shaken())


@pytest.mark.parametrize("how", [EVERYTHING, RECORDED.model_copy(update={"augmentation": NO_AUGMENTATION})])
def test_no_step_waits_for_the_gpu(how: Training) -> None:
    """But the first, in which all goes there that stays."""
    waited = []
    with pretended() as gpu:

        def advance(_done: int, _total: int, unit: str) -> None:
            if unit == "steps":
                waited.append(len(gpu.waits))

        trained(how, replace(lesson(CUDA), advance=advance))
    start, first, *others = waited
    assert start < first
    assert others[:2] == [first] * 2


def test_killed_anywhere_it_ends_with_the_same_bits() -> None:
    how, journal = RECORDED.model_copy(update={**FEW_OPERATIONS, "epochs": 2}), Dying(2)
    with pretended():
        whole = trained(how, lesson(CUDA))
        with pytest.raises(Killed):
            trained(how, replace(lesson(CUDA), journal=journal))
        journal.lives = -1
        assert same(trained(how, replace(lesson(CUDA), journal=journal)), whole)


@pytest.mark.parametrize("recorded", [False, True])
def test_on_grids_too(recorded: bool) -> None:
    latent = plain_batch_norms(digits_graph())
    graph = quantize_weights(latent, Quantization(5, 32, "mse", per_filter=True))
    how = SHORT.model_copy(update={"epochs": 1, "learning_rate": 0.01, "precision": "float32"})
    here = fit(quantized_network(graph, latent.weights), how, digits_task())[0]
    with pretended():
        how = how.model_copy(update={"cuda_graphs": recorded})
        there = fit(quantized_network(graph, latent.weights), how, replace(digits_task(), device=CUDA))[0]
    assert_close(here, there, graph)


PARTS = ["convolution", "norm", "depthwise", "hard swish", "excite", "max pool", "twice", "residual in place"]


@pytest.mark.parametrize("bit_true", [False, True])
@pytest.mark.parametrize("bits", [(32, 32), (6, 8)])
def test_answers_are_those_of_the_cpu(bits: tuple[int, int], bit_true: bool) -> None:
    graph = quantized(network(PARTS), *bits)
    here = interpret(graph, images(8))
    with pretended():
        there = logits_of(graph, CUDA, 8, bit_true)(images(8).to(CUDA)).cpu()
    torch.testing.assert_close(there.float(), here, rtol=1e-3, atol=1e-3)


def test_where_sums_are_exact_so_are_quotients() -> None:
    """CUDA multiplies by reciprocals, of which ties know."""
    graph, shown = halfway()
    here = logits_of(graph, CPU, 512, True)(shown)
    with pretended():
        there = logits_of(graph, CUDA, 512, True)(shown.to(CUDA)).cpu()
        plain = interpret(graph.on(CUDA), shown.to(CUDA).double()).cpu()
    assert torch.equal(here.double(), there)
    assert not torch.equal(here.double(), plain)


def test_accuracy_is_that_of_the_cpu() -> None:
    with pretended():
        there = evaluate(shaken(), noise(), CUDA, count_infinite=True)
    assert there == evaluate(shaken(), noise(), CPU, count_infinite=True)


def test_kronecker_factors_are_those_of_the_cpu() -> None:
    graph = shaken()
    blocks = find_blocks(graph)[0]
    here = factors(graph, blocks, noise(), CPU, sampled(72, 0), batch=24)
    with pretended():
        there = factors(graph, blocks, noise(), CUDA, sampled(72, 0), batch=24)
    for name, both in here.items():
        torch.testing.assert_close((there[name].inputs, there[name].outputs), (both.inputs, both.outputs))


NOTHING = {"crop": 0, "flip": False, "policy": "none"}
TUNING = {"epochs": 1, "batch": 64, "learning_rate": 0.05, "augmentation": NOTHING, "precision": "float32"}
DIGITS: Mapping[str, Any] = {
    "track": "digits",
    "architecture": {"name": "digits", "options": {"width": 8}},
    "holdout": 0.2,
    "train_images": 200,
}
STAGES = [
    {"stage": "train", **TUNING, "learning_rate": 0.2, "augmentation": {"crop": 1}},
    {"stage": "prune", "ratio": 0.3, "rounds": 2, "grow_back": 0.2, "factor_images": 100, "fine_tuning": TUNING},
    {"stage": "sparsify", "sparsity": 0.5, "fine_tuning": TUNING},
    {"stage": "fuse"},
    {
        "stage": "quantize",
        "bits": {"param_bits": 6, "mul_bits": 8},
        "quantizer": {"rule": "mse", "calibration_images": 50},
        "train": TUNING,
    },
]


def ask(kind: str, settings: Mapping[str, Any], device: str, outputs: Path, file: Path | None = None) -> Any:
    job = JOBS[kind]
    outputs.mkdir(exist_ok=True)
    asked = job.settings.model_validate_json(json.dumps(settings))
    return job.run(asked, file, Context(device=device, outputs=outputs))


def test_the_whole_road_goes_there(tmp_path: Path) -> None:
    here = ask("pipeline", {**DIGITS, "stages": STAGES}, "cpu", tmp_path / "here")
    with pretended():
        there = ask("pipeline", {**DIGITS, "stages": STAGES}, "auto", tmp_path / "there")
    assert (here.scorer.device, torch.device(there.scorer.device).type) == ("cpu", "cuda")
    assert abs(here.accuracy.correct - there.accuracy.correct) <= 5


def test_so_does_the_search_for_a_policy(tmp_path: Path) -> None:
    search = {"folds": 1, "searches": 1, "candidates": 2, "lists": 2, "best": 1, "epochs": 1, "batch": 50}
    with pretended() as gpu:
        ask("augment", {**DIGITS, **search}, "cuda", tmp_path)
    assert gpu.waits


def test_so_does_the_search_for_the_lowest_score(tmp_path: Path) -> None:
    """And the score of what it found, its sums exact."""
    common = {"track": "digits"}
    learned = {**DIGITS, **TUNING, "epochs": 4, "learning_rate": 0.2, "train_images": None, "evaluate": False}
    ask("train", learned, "cpu", tmp_path)
    few = {"calibration_images": 50, "holdout_images": 100, "weight_bits": [4, 5], "input_bits": [6, 7], "points": 1}
    tuning = {"tuning": {"steps": 3, "batch": 32, "augmentation": {"crop": 1}}, "looks": 1, "floor": 0.3}
    (trained_file,) = tmp_path.iterdir()
    exact = {**common, "policy": "challenge", "bits": None, "bit_true": True}
    with pretended():
        found = ask("optimize", {**common, **few, **tuning}, "cuda", tmp_path, trained_file)
        scored = ask("score", exact, "cuda", tmp_path, tmp_path / "optimized.onnx")
    assert scored.accuracy == found.looks[-1].accuracy
    assert ask("score", exact, "cpu", tmp_path, tmp_path / "optimized.onnx").accuracy == scored.accuracy


class Making(nn.Module):
    """A network for digits that makes, and moves, tensors where its images are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(5, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x.to(self.fc.weight.device)) + torch.arange(6, device=x.device).float()
        y = torch.cat([y, torch.zeros(len(y), 1, 6, 6, device=y.device)], 1)
        logits: Tensor = self.fc(y.mean((2, 3)).to(x.device, torch.float32))
        return logits


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("bit_true", [False, True])
def test_a_module_is_scored_from_wherever_to_wherever(device: torch.device, bit_true: bool) -> None:
    torch.manual_seed(0)
    module = Making() if not bit_true else nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    asked: dict[str, Any] = {"track": "digits", "bits": micronet.BitWidths(param_bits=8, mul_bits=8)}
    here = micronet.score(module, **asked, bit_true=bit_true, device="cpu")
    with pretended():
        moved = module.to(device)
        there = micronet.score(moved, **asked, bit_true=bit_true, device="cuda")
        captured = micronet.capture(moved, (1, 8, 8))
    assert (there.accuracy, there.score) == (here.accuracy, here.score)
    assert {weight.device for weight in captured.weights.values()} == {CPU}
    assert not any(argument == GPU for node in captured.nodes for argument in (*node.args, *node.kwargs.values()))


def test_a_copy_that_is_asked_for_is_one() -> None:
    class Copying(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            copy = x.to(x.device, torch.float32, copy=True)
            copy.mul_(2)
            return (x + copy + x.cpu().double().to(x)).mean((2, 3))

    graph = capture(Copying(), IMAGE)
    assert torch.equal(interpret(graph, images(3)), Copying()(images(3)))


def between_streams(gpu: Gpu, waits: bool) -> Tensor:
    other = Stream()
    with gpu.on(other):
        made = torch.ones(3, device=GPU)
    made.record_stream(gpu.stream)  # type: ignore[arg-type]
    if waits:
        gpu.stream.wait_stream(other)
    return made + 1


def given_back(gpu: Gpu, recorded: bool) -> None:
    other = Stream()
    with gpu.on(other):
        made = torch.ones(3, device=GPU)
    gpu.stream.wait_stream(other)
    if recorded:
        made.record_stream(gpu.stream)  # type: ignore[arg-type]
    made += 1
    del made


def recorded(gpu: Gpu, asks: bool) -> None:
    ones, own, graph = torch.ones(3, device=GPU), Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=own):  # type: ignore[arg-type]
        twice = ones * (2.0 if not asks else float(ones.sum()))
    gpu.stream.wait_stream(own)
    ones += 1
    graph.replay()
    assert twice.tolist() == [4.0] * 3


PLANTED: Mapping[str, Callable[[Gpu, bool], object]] = {
    "another device": lambda _, wrong: torch.ones(3, device=GPU) + torch.ones(3, device=CPU if wrong else GPU),
    "an index of another": lambda _, wrong: torch.ones(3, device=GPU)[torch.arange(2, device=CPU if wrong else GPU)],
    "another generator": lambda _, wrong: torch.rand(3, device=GPU, generator=torch.Generator() if wrong else None),
    "numpy": lambda _, wrong: (torch.ones(3, device=GPU) if wrong else torch.ones(3, device=GPU).cpu()).numpy(),
    "integers": lambda _, wrong: (m := torch.ones(3, 3, dtype=torch.int64 if wrong else torch.float64).to(GPU)) @ m,
    "read too early": lambda gpu, wrong: between_streams(gpu, not wrong),
    "given back too early": lambda gpu, wrong: given_back(gpu, not wrong),
    "waited for in a recording": recorded,
}


@pytest.mark.parametrize("fault", PLANTED)
def test_what_cuda_would_refuse_is_a_fault(fault: str) -> None:
    with pretended() as gpu:
        PLANTED[fault](gpu, False)
    with pytest.raises(Fault), pretended() as gpu:
        PLANTED[fault](gpu, True)


def test_a_partner_of_the_cpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault planted in the library itself."""
    monkeypatch.setattr("micronet.training.mixing.brought", lambda tensor, _device: tensor)
    with pytest.raises(Fault, match="two devices"), pretended():
        mix(torch.ones(4, *SHAPE, device=GPU), torch.ones(4, 10, device=GPU), EVERYTHING, torch.Generator())


@pytest.mark.parametrize(("kind", "method"), [(Stream, "wait_stream"), (There, "record_stream")])
def test_batches_that_are_made_too_far_ahead_are_found(
    kind: type[Stream | There], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, method, lambda *_: None)
    with pytest.raises(Fault), pretended():
        trained(EVERYTHING.model_copy(update=FEW_OPERATIONS), lesson(CUDA))
