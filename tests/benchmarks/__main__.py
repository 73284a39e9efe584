"""Every figure the README gives of speed and memory: `python -m tests.benchmarks` (needs ../shared and MICRONET_DATA).

Each of ours is a fresh process, imports included; each peer too. Two threads each.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from micronet.contract import QuantizeSettings
from micronet.data.datasets import open_split
from micronet.evaluation.bit_true import widen
from micronet.evaluation.inputs import Inputs
from micronet.evaluation.threads import in_order
from micronet.graph.interpret import interpret
from micronet.jobs import JOBS, Context
from micronet.jobs.network import read_network
from micronet.tracks import track
from micronet.transformation.prepare import prepare
from tests.benchmarks.plain import plain_evaluate, plain_network
from tests.micronet.architectures.wavecomp import LAYOUT_FILE, fill, shape_list

CHECKPOINTS = LAYOUT_FILE.parent
FLOAT = {"policy": "challenge", "bits": None}
EIGHT = {"policy": "challenge", "bits": {"param_bits": 8, "mul_bits": 8}}
PYRAMIDNET = {"architecture": {"name": "pyramidnet"}}
PLAIN_IMAGES, PLAIN_BATCH, OUR_IMAGES, ALL_IMAGES = 100, 25, 1000, 10_000


def ours(data: Path, *jobs: dict[str, object]) -> list[dict[str, float]]:
    """Seconds and peak memory of jobs done by one fresh process; the first one's include starting it."""
    described = json.dumps([{"data": str(data), **job} for job in jobs])
    command = [sys.executable, "-m", "tests.benchmarks.child", str(time.time()), described]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def onnxruntime_seconds(file: Path, data: Path) -> float:
    """Seconds of the whole peer process."""
    started = time.time()
    peer = Path(__file__).with_name("onnxruntime_peer.py")
    subprocess.run([sys.executable, str(peer), str(file), str(data)], check=True, capture_output=True)
    return time.time() - started


def show(what: str, seconds: float, peer: float, bound: float, peak: float) -> None:
    """One row: seconds, peer's seconds, their ratio and what it is to be."""
    ratio = seconds / peer
    print(f"| {what} | {seconds:.1f} s | {peer:.1f} s | {ratio:.2f} | {bound} | {peak / 2**20:.0f} MiB |", flush=True)


def evaluation(data: Path) -> None:
    """Published entries against onnxruntime."""
    first, second = CHECKPOINTS / "kaist_v2_pr15.onnx", CHECKPOINTS / "kaist_v2_pr45.onnx"
    peer = onnxruntime_seconds(second, data)
    floats = ours(data, {"file": str(first), "settings": FLOAT}, {"file": str(second), "settings": FLOAT})
    eights = ours(data, {"file": str(first), "settings": EIGHT}, {"file": str(second), "settings": EIGHT})
    print("| 10,000 images, KAIST entry | ours | onnxruntime, float32 | ratio | at most | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    show("float32, fresh process", floats[0]["seconds"], peer, 0.8, floats[0]["peak_bytes"])
    show("float32, second job of a process", floats[1]["seconds"], peer, 0.5, floats[1]["peak_bytes"])
    show("8 bits, calibration included", eights[0]["seconds"], peer, 1.2, eights[0]["peak_bytes"])
    show("8 bits, second job of a process", eights[1]["seconds"], peer, 1.2, eights[1]["peak_bytes"])


def exact_evaluation(data: Path, directory: Path) -> None:
    """Sums that are exact, against the same network with every operation in float64, from fewer images.

    Both in batches that fit the caches, channels last, one thread for each processor.
    """
    settings = QuantizeSettings.model_validate({"bits": EIGHT["bits"]})
    JOBS["quantize"].run(settings, CHECKPOINTS / "kaist_v2_pr45.onnx", Context(data, "cpu", outputs=directory))
    file = directory / "quantized.onnx"
    plain_graph = widen(prepare(read_network(file, None, None)[0], fuse=True))
    cifar = track("cifar100")
    images = Inputs(open_split(cifar, "test", data).subset(PLAIN_IMAGES, 0), cifar.mean, cifar.std)

    def in_float64(start: int) -> torch.Tensor:
        shown = images.batch(start, PLAIN_BATCH)[0]
        return interpret(plain_graph, shown.to(torch.float64, memory_format=torch.channels_last))

    started = time.time()
    logits = list(in_order(in_float64, images.starts(PLAIN_BATCH)))
    assert len(logits) == PLAIN_IMAGES // PLAIN_BATCH
    plain = (time.time() - started) * ALL_IMAGES / PLAIN_IMAGES
    asked = {"file": str(file), "settings": {**FLOAT, "bit_true": True}}
    first, second = ours(data, asked, asked)
    print(
        "\n| 10,000 images, KAIST entry at 8 bits, bit-true | ours | all in float64 | ratio | at most | peak memory |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    show("fresh process", first["seconds"], plain, 0.2, first["peak_bytes"])
    show("second job of a process", second["seconds"], plain, 0.2, second["peak_bytes"])


def counting(data: Path, pyramidnet: Path) -> None:
    """Fresh processes that only count."""
    print("\n| counting, fresh process | seconds | at most | peak memory |\n| --- | --- | --- | --- |")
    files = [(file, {**FLOAT, "evaluate": False}, 2.0) for file in sorted(CHECKPOINTS.glob("*.onnx"))]
    for file, settings, bound in [*files, (pyramidnet, {**PYRAMIDNET, "evaluate": False}, 10.0)]:
        [counted] = ours(data, {"file": str(file), "settings": settings})
        [again] = ours(data, {"file": str(file), "settings": settings}, {"file": str(file), "settings": settings})[1:]
        seconds = f"{counted['seconds']:.1f} s, {again['seconds']:.1f} s in a warm process"
        print(f"| {file.name} | {seconds} | {bound} s | {counted['peak_bytes'] / 2**20:.0f} MiB |", flush=True)


def quantized_pyramidnet(data: Path, file: Path) -> None:
    """The whole job over 10,000 images, from fewer, against the plain way."""
    cifar = track("cifar100")
    images = Inputs(open_split(cifar, "test", data).subset(PLAIN_IMAGES, 0), cifar.mean, cifar.std)
    torch.set_num_threads(2)
    network = plain_network(torch.load(file, weights_only=True), 12)
    started = time.time()
    plain_evaluate(network, images)
    plain = (time.time() - started) * ALL_IMAGES / PLAIN_IMAGES
    few, many = (
        ours(data, {"file": str(file), "settings": PYRAMIDNET, "images": count})[0]
        for count in (PLAIN_IMAGES, OUR_IMAGES)
    )
    per_image = (many["seconds"] - few["seconds"]) / (OUR_IMAGES - PLAIN_IMAGES)
    whole = many["seconds"] + per_image * (ALL_IMAGES - OUR_IMAGES)
    print("\n| 10,000 images, PyramidNet 272/200 quantized | ours | plain way | ratio | at most | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    show(f"extrapolated from {OUR_IMAGES:,} and {PLAIN_IMAGES}", whole, plain, 0.1, many["peak_bytes"])


def main() -> None:
    """Run everything, print Markdown."""
    data = Path(os.environ["MICRONET_DATA"])
    with tempfile.TemporaryDirectory() as directory:
        pyramidnet = Path(directory, "pyramidnet.pth")
        torch.save(fill(shape_list()["quantized_fused"]), pyramidnet)
        evaluation(data)
        exact_evaluation(data, Path(directory))
        counting(data, pyramidnet)
        quantized_pyramidnet(data, pyramidnet)


if __name__ == "__main__":
    main()
