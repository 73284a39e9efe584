"""The operations of augmentation policies: one table, batched on the device, the same pixels as pillow's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.contract import OperationName
from micronet.evaluation.device import brought
from micronet.training.augmentation.affine import affine, rotation, shear_x, shear_y, translation_x, translation_y

Parameters = Callable[[Tensor, torch.Size, torch.Generator], Tensor]
"""What magnitudes float64 (N,) in 0..1 mean for images of this shape, and what else is drawn: (N, ...), on the CPU."""
Apply = Callable[[Tensor, Tensor], Tensor]
"""uint8 (N, C, H, W) of the same and parameters (N, ...)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Called with uint8 images (N, C, H, W), C = 1 or 3, on any device, magnitudes (N,) in 0..1 and a generator.

    Magnitudes and generator are on the CPU: what is drawn, and what is done, is the same on every device.
    """

    apply: Apply
    parameters: Parameters

    def __call__(self, images: Tensor, magnitudes: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 (N, C, H, W), a new tensor or the same."""
        return self.apply(images, self.parameters(magnitudes.double(), images.shape, generator))


def _nothing(magnitudes: Tensor, _shape: torch.Size, _generator: torch.Generator) -> Tensor:
    """The operation has no strength."""
    return magnitudes


def _signed(most: float) -> Parameters:
    """0 to `most`, of a sign that is drawn."""

    def parameters(magnitudes: Tensor, _shape: torch.Size, generator: torch.Generator) -> Tensor:
        return _with_sign(magnitudes * most, generator)

    return parameters


def _factor(magnitudes: Tensor, _shape: torch.Size, generator: torch.Generator) -> Tensor:
    """1 - 0.99 to 1 + 0.99: 1 changes nothing, 0 leaves the degenerate image."""
    return 1 + _with_sign(magnitudes * 0.99, generator)


def _pixels(axis: int) -> Parameters:
    """0 to 32 pixels (no more than the image is wide), whole, of a sign that is drawn."""

    def parameters(magnitudes: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
        return _with_sign((magnitudes * min(32, shape[axis])).round(), generator)

    return parameters


def _bits(magnitudes: Tensor, _shape: torch.Size, _generator: torch.Generator) -> Tensor:
    """8 bits, which change nothing, to 2."""
    return 8 - (magnitudes * 6).round()


def _threshold(magnitudes: Tensor, _shape: torch.Size, _generator: torch.Generator) -> Tensor:
    """256, which changes nothing, to 0, which inverts everything."""
    return 256 * (1 - magnitudes)


def _square(magnitudes: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """(N, 3): a side of 0 to 0.2 of the image's shorter one, and a centre drawn evenly: row, column."""
    sides = (magnitudes * 0.2 * min(shape[2:])).round()
    centres = [torch.randint(size, (len(magnitudes),), generator=generator).double() for size in shape[2:]]
    return torch.stack([sides, *centres], 1)


def _with_sign(values: Tensor, generator: torch.Generator) -> Tensor:
    return torch.where(torch.rand(len(values), generator=generator) < 0.5, values, -values)


def auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    """Each channel stretched so that its least and its greatest level become 0 and 255. ImageOps.autocontrast."""
    flat = images.flatten(2)
    low, high = flat.amin(2, keepdim=True).double(), flat.amax(2, keepdim=True).double()
    scale = 255.0 / (high - low)
    levels = torch.arange(256, dtype=torch.float64, device=images.device)
    tables = (levels * scale + -low * scale).trunc().clamp(0, 255)
    return _looked_up(images, torch.where(high > low, tables, levels))


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Each channel through its own cumulative histogram. ImageOps.equalize."""
    flat = images.flatten(2).long()
    counts = torch.zeros(*flat.shape[:2], 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - last) // 255
    below = counts.cumsum(2) - counts
    tables = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255)
    return _looked_up(images, torch.where(step > 0, tables, torch.arange(256, device=images.device)))


def invert(images: Tensor, _: Tensor) -> Tensor:
    """255 - x. ImageOps.invert."""
    return 255 - images


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Of each level the upper `bits` bits. ImageOps.posterize."""
    return images & _each(256 - 2 ** (8 - bits), images).to(torch.uint8)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Levels from the threshold up inverted. ImageOps.solarize."""
    return torch.where(images < _each(thresholds, images), images, 255 - images)


def color(images: Tensor, factors: Tensor) -> Tensor:
    """Between grey (0) and more colourful (over 1). ImageEnhance.Color; an image of one channel stays as it is."""
    return _blended(_luminance(images).expand_as(images), images, factors)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Between the mean level of the grey image, rounded, everywhere (0) and more contrast. ImageEnhance.Contrast."""
    total, count = _luminance(images).sum((1, 2, 3), keepdim=True), images[0, 0].numel()
    return _blended((2 * total + count) // (2 * count), images, factors)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Between black (0) and brighter. ImageEnhance.Brightness."""
    return _blended(torch.zeros_like(images), images, factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Between smoothed (0) and sharpened. ImageEnhance.Sharpness.

    Smoothing is ImageFilter.SMOOTH: (sum of the nine around + 4 * x) / 13, rounded; pixels at the border stay. Pillow
    sums float32, whose errors are far below the 1/26 that separates a quotient from the next half: integers agree.
    """
    whole = images.int()
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = whole.clone()
    smooth[:, :, 1:-1, 1:-1] = (2 * (around + 4 * whole[:, :, 1:-1, 1:-1]) + 13) // 26
    return _blended(smooth, images, factors)


def cut_square(images: Tensor, squares: Tensor) -> Tensor:
    """A grey square (128) of the given side and centre in each image, or what the border leaves of it.

    (DeVries and Taylor 2017; AutoAugment's grey is the mean colour of its data.) `squares` (N, 3): side, row, column.
    """
    sides, *centres = brought(squares, images.device).long().unbind(1)
    inside = [
        torch.arange(size, device=images.device) - (centre - sides // 2).unsqueeze(1)
        for size, centre in zip(images.shape[2:], centres, strict=True)
    ]
    rows, columns = ((offset >= 0) & (offset < sides.unsqueeze(1)) for offset in inside)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :]).unsqueeze(1), 128)


def _looked_up(images: Tensor, tables: Tensor) -> Tensor:
    """Every level replaced by what (N, C, 256) says for its channel."""
    return tables.to(torch.uint8).gather(2, images.flatten(2).long()).view_as(images)


def _luminance(images: Tensor) -> Tensor:
    """Grey levels int64 (N, 1, H, W), ITU-R 601-2 as in pillow's convert("L"): in 16-bit fixed point, rounded."""
    if images.shape[1] == 1:
        return images.long()
    if images.shape[1] != 3:
        raise ValueError(f"images of {images.shape[1]} channels: operations on colour need 1 or 3")
    red, green, blue = images.long().unsqueeze(2).unbind(1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _blended(degenerate: Tensor, images: Tensor, factors: Tensor) -> Tensor:
    """degenerate + factor * (image - degenerate) in float32, clipped, then cut to whole levels. Image.blend.

    Multiplied and added one after the other, as pillow does on x86-64; where a compiler merges both for it (ARM), a
    level may differ by one.
    """
    start = degenerate.float()
    return (start + _each(factors.float(), images) * (images.float() - start)).clamp_(0, 255).to(torch.uint8)


def _each(values: Tensor, images: Tensor) -> Tensor:
    """One value per image, (N,), to multiply with images."""
    return brought(values, images.device).view(-1, 1, 1, 1)


OPERATIONS: Mapping[OperationName, Operation] = {
    "identity": Operation(lambda images, _: images, _nothing),
    "auto_contrast": Operation(auto_contrast, _nothing),
    "equalize": Operation(equalize, _nothing),
    "invert": Operation(invert, _nothing),
    "rotate": Operation(affine(rotation), _signed(135.0)),
    "posterize": Operation(posterize, _bits),
    "solarize": Operation(solarize, _threshold),
    "color": Operation(color, _factor),
    "contrast": Operation(contrast, _factor),
    "brightness": Operation(brightness, _factor),
    "sharpness": Operation(sharpness, _factor),
    "shear_x": Operation(affine(shear_x), _signed(0.99)),
    "shear_y": Operation(affine(shear_y), _signed(0.99)),
    "translate_x": Operation(affine(translation_x), _pixels(3)),
    "translate_y": Operation(affine(translation_y), _pixels(2)),
    "cutout": Operation(cut_square, _square),
}
"""One row per operation, with the ranges of TrivialAugment's wide space (Mueller and Hutter 2021), where it has it.

Departures: strengths are continuous, not 31 levels; solarize begins at 256, where it changes nothing, not at 255; an
image is shifted by its own width at most. Cutout is AutoAugment's.
"""

TRIVIAL: tuple[OperationName, ...] = tuple(name for name in OPERATIONS if name not in ("invert", "cutout"))
"""The 14 operations of TrivialAugment's wide space."""
