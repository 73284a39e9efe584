"""Read files in a process with little memory to spare, and say on each line what became of one."""

import json
import resource
import sys
import time
from pathlib import Path

from micronet.checkpoints import OnnxModel, read_checkpoint
from micronet.onnx_reader import import_graph

HEADROOM = 1 << 30
"""Bytes of address space beyond what the imports take."""


def verdict(name: str, path: str) -> dict[str, object]:
    """What reading the file raised, in how many seconds of a processor; the most memory of the process yet, in kB."""
    begin = time.process_time()
    try:
        checkpoint = read_checkpoint(Path(path))
        if isinstance(checkpoint, OnnxModel):
            import_graph(checkpoint.model)
        error, message = "", ""
    except BaseException as raised:
        error, message = type(raised).__name__, str(raised)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"name": name, "error": error, "message": message, "seconds": time.process_time() - begin, "peak": peak}


def main() -> None:
    """Standard input is a JSON object of paths by name."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages is not None:
        bound = pages * resource.getpagesize() + HEADROOM
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    for name, path in json.load(sys.stdin).items():
        print(json.dumps(verdict(name, path)), flush=True)


if __name__ == "__main__":
    main()
