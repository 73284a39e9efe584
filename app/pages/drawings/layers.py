"""Where a score comes from: for each layer, in the order of the network, its storage upwards and its math downwards."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.breakdown import LayerCost
from app.pages.drawings.scale import LEAST, MOST, Scale, written
from app.printable import on_one_line

WIDTH, HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 68.0, 8.0, 14.0, 14.0
_GAP = 0.2
_LEAST_VISIBLE = 0.5


@dataclass(frozen=True, slots=True)
class Bar:
    """Two rectangles of one layer, in pixels, and what they say."""

    x: float
    width: float
    storage_y: float
    storage_height: float
    math_height: float
    title: str


@dataclass(frozen=True, slots=True)
class LayersDrawing:
    """All bars; `zero` is the line between the two terms, `ticks` are (pixel, text)."""

    bars: tuple[Bar, ...]
    zero: float
    ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: float = _LEFT


def draw_layers(layers: Sequence[LayerCost], largest: float | None = None) -> LayersDrawing:
    """A drawing of layers; `largest` share of the score of a term of one of them, where several drawings compare."""
    top = largest or max((max(layer.storage, layer.math) for layer in layers), default=0.0)
    top = min(top, MOST) if top > LEAST else 1.0
    scale = Scale(-top, top, HEIGHT - _BOTTOM, _TOP)
    zero = scale(0)
    pitch = (WIDTH - _LEFT - _RIGHT) / max(len(layers), 1)
    bars = tuple(_bar(layer, _LEFT + index * pitch, pitch, zero, scale) for index, layer in enumerate(layers))
    ticks = tuple((scale(value), written(abs(value))) for value in scale.ticks(8))
    return LayersDrawing(bars, zero, ticks)


def _bar(layer: LayerCost, x: float, pitch: float, zero: float, scale: Scale) -> Bar:
    up, down = zero - scale(layer.storage), scale(-layer.math) - zero
    up, down = (max(height, _LEAST_VISIBLE) if height > 0 else 0.0 for height in (up, down))
    name, share = on_one_line(layer.name), f"{layer.share:.1%} of the score"
    title = f"{name} ({layer.op}): storage {layer.storage:.6f}, math {layer.math:.6f}, {share}"
    return Bar(round(x + pitch * _GAP / 2, 2), round(pitch * (1 - _GAP), 2), round(zero - up, 1), up, down, title)
