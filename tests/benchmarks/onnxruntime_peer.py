"""The peer: onnxruntime on the CIFAR-100 test images, as its users run it. Prints correct answers.

python onnxruntime_peer.py FILE DATA_DIR
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import onnxruntime

BATCH, THREADS = 100, 2
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


def main(path: str, data_dir: str) -> None:
    """Load, normalize, run, compare."""
    entry = pickle.loads(Path(data_dir, "cifar-100-python", "test").read_bytes(), encoding="bytes")
    pixels = entry[b"data"].reshape(-1, 3, 32, 32)
    labels = np.array(entry[b"fine_labels"])
    mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    [image] = session.get_inputs()
    correct = 0
    for start in range(0, len(pixels), BATCH):
        batch = (pixels[start : start + BATCH].astype(np.float32) / 255 - mean) / std
        [logits] = session.run(None, {image.name: batch})
        correct += int((logits.argmax(1) == labels[start : start + BATCH]).sum())
    print(correct)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
