"""Checkpoints as people upload them: PyTorch files of both kinds, safetensors, ONNX; any may be hostile."""

from micronet.checkpoints.limits import Limits
from micronet.checkpoints.reading import OnnxModel, StateDict, read_checkpoint

__all__ = ["Limits", "OnnxModel", "StateDict", "read_checkpoint"]
