"""Blocks of an image as channels, and back: DepthToSpace, SpaceToDepth."""

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.shapes import reshape
from micronet.onnx_reader.values import Floating


def _depth_to_space(call: Call) -> Floating:
    x, block = call.tensor(0), call.whole("blocksize", 0)
    mode = call.text("mode", "DCR")
    if len(x.shape) != 4 or block < 1 or x.shape[1] % (block * block) or mode not in ("DCR", "CRD"):
        raise call.corrupt("the block does not divide the channels.")
    if mode == "CRD":
        return call.emit("pixel_shuffle", x, block)
    n, c, h, w = x.shape
    depth = c // (block * block)
    x = reshape(call, x, (n, block, block, depth, h, w))
    return reshape(call, call.emit("permute", x, (0, 3, 4, 1, 5, 2)), (n, depth, h * block, w * block))


def _space_to_depth(call: Call) -> Floating:
    x, block = call.tensor(0), call.whole("blocksize", 0)
    mode = call.text("mode", "DCR")
    if len(x.shape) != 4 or block < 1 or x.shape[2] % block or x.shape[3] % block or mode not in ("DCR", "CRD"):
        raise call.corrupt("the block does not divide the image.")
    n, c, h, w = x.shape
    x = reshape(call, x, (n, c, h // block, block, w // block, block))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return reshape(call, call.emit("permute", x, order), (n, c * block * block, h // block, w // block))


IMPORTERS: Importers = {"DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth}
