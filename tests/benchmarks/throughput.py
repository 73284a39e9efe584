"""Images a second, in training and in evaluation on grids, against the same network in plain PyTorch and compiled.

    python -m tests.benchmarks.throughput [DEVICE] [BATCH] [RECIPE]

By default on the device that `auto` chooses, with the network, precision and batch of the recipe cifar100. One run,
one process, images of noise. Every way to train gets the same ready batch; the last row is a whole training, with the
making of batches, augmented as in the recipe. The share is of the device's own rate at multiplying matrices, in the
precision of the row, measured first: 2 operations for each multiplication of the network's count, 3 times as many to
train. Medians of five.
"""

import copy
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.analysis.counts import count
from micronet.architectures.load import create_network
from micronet.contract import ArchitectureSettings, PipelineSettings, Training
from micronet.contract.pipeline import TrainStage
from micronet.data.split import Split
from micronet.evaluation.accuracy import CUDA_BATCH, cpu_batch, logits_of
from micronet.evaluation.calibration import calibrate
from micronet.evaluation.device import choose_device
from micronet.evaluation.inputs import Inputs
from micronet.evaluation.threads import in_order
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs import prepare_process
from micronet.tracks import Track, track
from micronet.training.fit import fit, in_half
from micronet.training.gradients import EagerGradients, RecordedGradients
from micronet.training.loss import Loss
from micronet.training.network import TrainableNetwork
from micronet.training.state import State
from micronet.training.task import Task
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_activations, quantize_weights

MEDIAN_OF = 5
EIGHT = Quantization(8, 8)


@dataclass(frozen=True, slots=True)
class Row:
    """A way to compute, and how to measure its images a second.

    passes    1: forward; 3: forward and backward
    dtype     of its convolutions and products
    compiles  takes minutes before it computes anything
    """

    what: str
    passes: int
    dtype: torch.dtype
    measure: Callable[[], float]
    compiles: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """A device, its rates at multiplying matrices, by type, in operations a second, and what is computed on it."""

    device: torch.device
    rates: dict[torch.dtype, float]
    graph: Graph
    module: nn.Module
    how: Training
    chosen: Track

    def seconds(self, step: Callable[[], object], steps: int) -> float:
        """Of one of `steps` calls in a row, after as many to warm up; or of all that these start on the device."""
        found = []
        for _ in range(1 + MEDIAN_OF):
            started = time.perf_counter()
            for _ in range(steps):
                step()
            self.wait()
            found.append((time.perf_counter() - started) / steps)
        return statistics.median(found[1:])

    def wait(self) -> None:
        """Until the device has done what was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def noise(self, images: int) -> Inputs:
        """Pixels and labels drawn evenly."""
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(256, (images, *self.chosen.input_shape), generator=generator, dtype=torch.uint8)
        labels = torch.randint(self.chosen.classes, (images,), generator=generator)
        return Inputs(Split.of("noise", pixels, labels), self.chosen.mean, self.chosen.std)

    def show(self, row: Row) -> None:
        """Measure and print one row."""
        images = row.measure()
        multiplications = sum(layer.operations.multiplications for layer in count(self.graph).layers)
        share = images * row.passes * 2 * multiplications / self.rates[row.dtype]
        kind = str(row.dtype).removeprefix("torch.")
        print(f"| {row.what} | {kind} | {images:,.0f} | {100 * share:.1f} % |", flush=True)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of the fastest of ten products of square matrices."""
    side = 8192 if device.type == "cuda" else 2048
    first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        product = first @ second
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    assert product.shape == (side, side)
    return 2.0 * side**3 / best


def training(bench: Bench, steps: int) -> Iterator[Row]:
    """Steps of the recipe's optimizer on one batch; then a whole training."""
    how, device = bench.how, bench.device
    half = in_half(how, bench.graph, device)
    dtype = torch.bfloat16 if half else torch.float32
    images = torch.randn(how.batch, *bench.chosen.input_shape, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(how.batch, device=device) % bench.chosen.classes
    targets = F.one_hot(labels, bench.chosen.classes).float()

    def plain(compiled: bool) -> float:
        module = copy.deepcopy(bench.module).to(device, memory_format=torch.channels_last).train()
        optimizer = torch.optim.SGD(module.parameters(), how.learning_rate, how.momentum, nesterov=True)
        called = torch.compile(module) if compiled else module

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = called(images)
            F.cross_entropy(logits.float(), targets).backward()
            optimizer.step()

        return how.batch / bench.seconds(step, steps)

    def ours(kind: type[EagerGradients | RecordedGradients]) -> float:
        network = TrainableNetwork(bench.graph).to(device).train()
        gradients, state = kind(Loss(network, half, None), network), State(network, how)

        def step() -> None:
            gradients(images, targets)
            state.step_(how.learning_rate)

        return how.batch / bench.seconds(step, steps)

    def whole(recorded: bool) -> float:
        epoch = how.model_copy(update={"epochs": 1, "steps": steps, "cuda_graphs": recorded, "distillation": None})
        learned, few = bench.noise(how.batch * steps), bench.noise(1)

        def step() -> None:
            fit(TrainableNetwork(bench.graph), epoch, Task(learned, few, device))  # with a journal of its own

        return how.batch * steps / bench.seconds(step, 1)

    yield Row("training: plain PyTorch", 3, dtype, lambda: plain(False))
    yield Row("training: ours", 3, dtype, lambda: ours(EagerGradients))
    yield Row("training: ours, with its batches made, start and end", 3, dtype, lambda: whole(False))
    if device.type == "cuda":
        yield Row("training: ours, cuda_graphs", 3, dtype, lambda: ours(RecordedGradients))
        yield Row("training: ours, cuda_graphs, with its batches made, start and end", 3, dtype, lambda: whole(True))
    yield Row("training: plain PyTorch, torch.compile", 3, dtype, lambda: plain(True), compiles=True)


def evaluation(bench: Bench, steps: int) -> Iterator[Row]:
    """Batches through the network on grids of 8 bits, in float32 and with exact sums."""
    device, shown = bench.device, bench.noise(64)
    graph = quantize_weights(prepare(bench.graph, fuse=True), EIGHT)
    graph = quantize_activations(graph, EIGHT, lambda whole, seen: calibrate(whole, seen, shown))
    batch = CUDA_BATCH if device.type == "cuda" else cpu_batch(graph)
    there = replace(graph, weights={name: weight.to(device) for name, weight in graph.weights.items()})
    images = bench.noise(batch).batch(0, batch, device)[0].contiguous(memory_format=torch.channels_last)

    def plain(compiled: bool) -> float:
        def logits(images: Tensor) -> Tensor:
            return interpret(there, images)

        called = torch.compile(logits) if compiled else logits

        def step() -> None:
            with torch.no_grad():
                called(images)

        return batch / bench.seconds(step, steps)

    def ours(bit_true: bool) -> float:
        run = logits_of(graph, device, batch, bit_true)

        def step(_: int) -> None:
            run(images)

        def several() -> None:
            for _ in in_order(step, range(steps)) if device.type == "cpu" else map(step, range(steps)):
                pass

        return batch * steps / bench.seconds(several, 1)

    dtype = torch.float32
    yield Row("evaluation at 8 bits: plain PyTorch", 1, dtype, lambda: plain(False))
    yield Row("evaluation at 8 bits: ours", 1, dtype, lambda: ours(False))
    yield Row("evaluation at 8 bits: ours, bit-true", 1, dtype, lambda: ours(True))
    yield Row("evaluation at 8 bits: plain PyTorch, torch.compile", 1, dtype, lambda: plain(True), compiles=True)


def main(name: str = "auto", batch: str = "", recipe: str = "cifar100") -> None:
    """Measure, print Markdown."""
    prepare_process()
    device = choose_device(name)
    settings = PipelineSettings.model_validate({"recipe": recipe})
    stage, architecture = settings.stages[0], settings.architecture
    assert isinstance(stage, TrainStage)
    assert isinstance(architecture, ArchitectureSettings)
    how = stage.model_copy(update={"batch": int(batch)} if batch else {})
    module = create_network(architecture.name, architecture.options, 0)
    chosen = track(settings.track)
    with torch.no_grad():
        graph = capture(module, chosen.input_shape)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    kinds = (torch.float32, torch.bfloat16)
    bench = Bench(device, {dtype: matrix_rate(device, dtype) for dtype in kinds}, graph, module, how, chosen)
    rates = ", ".join(f"{str(dtype).removeprefix('torch.')} {rate / 1e12:.2f}" for dtype, rate in bench.rates.items())
    print(f"{where}, torch {torch.__version__}, batch {how.batch}; 10^12 operations a second of matrices: {rates}\n")
    print("| | precision | images a second | share of that rate |\n| --- | --- | --- | --- |")
    steps = 50 if device.type == "cuda" else 3
    rows = [*training(bench, steps), *evaluation(bench, steps)]
    for row in sorted(rows, key=lambda row: row.compiles):  # those last: where time runs out, the others are there
        bench.show(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
