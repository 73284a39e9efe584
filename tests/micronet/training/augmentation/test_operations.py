"""Operations against pillow, pixel for pixel; what each magnitude means; and that the table has every name."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.nn import functional as F

from micronet.contract import OperationName
from micronet.training.augmentation.operations import OPERATIONS, TRIVIAL, cut_square

Pillow = Callable[[Image.Image, float], Image.Image]


def pictures(channels: int, count: int = 12, height: int = 32, width: int = 30) -> Tensor:
    """Smooth blobs of some noise, as photographs have; then a flat one, one of two levels, and plain noise."""
    generator = torch.Generator().manual_seed(channels)
    coarse = torch.rand(count, channels, 5, 5, generator=generator) * 320 - 30
    smooth = F.interpolate(coarse, (height, width), mode="bicubic")
    noisy = smooth + torch.randn(smooth.shape, generator=generator) * 6
    images = noisy.clamp(0, 255).to(torch.uint8)
    images[0] = 77
    images[1] = images[1] // 128 * 90 + 20
    images[2] = torch.randint(256, images[2].shape, generator=generator)
    images[3] = images[3] // 4 + 90
    return images


def to_pillow(image: Tensor) -> Image.Image:
    return Image.fromarray((image[0] if len(image) == 1 else image.permute(1, 2, 0)).numpy())


def from_pillow(image: Image.Image) -> Tensor:
    flat = torch.tensor(list(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, -1).permute(2, 0, 1)


def transform(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


PILLOW: dict[str, tuple[Pillow, list[float]]] = {
    "identity": (lambda image, _: image, [0]),
    "auto_contrast": (lambda image, _: ImageOps.autocontrast(image), [0]),
    "equalize": (lambda image, _: ImageOps.equalize(image), [0]),
    "invert": (lambda image, _: ImageOps.invert(image), [0]),
    "rotate": (lambda image, v: image.rotate(v), [0, 90, -90, 180, 13.7, -45, 134.9, -61.234]),
    "posterize": (lambda image, v: ImageOps.posterize(image, int(v)), [8, 7, 5, 2, 1]),
    "solarize": (ImageOps.solarize, [256, 200, 128, 77.5, 1, 0]),
    "color": (lambda image, v: ImageEnhance.Color(image).enhance(v), [0.01, 0.333, 1, 1.5, 1.99]),
    "contrast": (lambda image, v: ImageEnhance.Contrast(image).enhance(v), [0.01, 0.333, 1, 1.5, 1.99]),
    "brightness": (lambda image, v: ImageEnhance.Brightness(image).enhance(v), [0.01, 0.333, 1, 1.5, 1.99]),
    "sharpness": (lambda image, v: ImageEnhance.Sharpness(image).enhance(v), [0.01, 0.333, 1, 1.5, 1.99]),
    "shear_x": (lambda image, v: transform(1, v, 0, 0, 1, 0)(image), [0, 0.3, -0.3, 0.99, -0.123]),
    "shear_y": (lambda image, v: transform(1, 0, 0, v, 1, 0)(image), [0, 0.3, -0.3, 0.99, -0.123]),
    "translate_x": (lambda image, v: transform(1, 0, v, 0, 1, 0)(image), [0, 3, -9, 30, -32]),
    "translate_y": (lambda image, v: transform(1, 0, 0, 0, 1, v)(image), [0, 3, -9, 30, -32]),
}


def test_the_table_has_every_operation_and_pillow_all_but_one() -> None:
    assert set(OPERATIONS) == set(get_args(OperationName))
    assert set(OPERATIONS) - set(PILLOW) == {"cutout"}
    assert len(TRIVIAL) == 14


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(PILLOW))
def test_pixels_are_pillows(name: OperationName, channels: int) -> None:
    theirs, values = PILLOW[name]
    images = pictures(channels)
    for value in values:
        ours = OPERATIONS[name].apply(images, torch.full((len(images),), value, dtype=torch.float64))
        wanted = torch.stack([from_pillow(theirs(to_pillow(image), value)) for image in images])
        assert ours.dtype == torch.uint8
        assert torch.equal(ours, wanted), f"{name} {value}"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_batch_is_its_images_one_by_one(name: OperationName) -> None:
    images, operation = pictures(3), OPERATIONS[name]
    parameters = operation.parameters(
        torch.linspace(0, 1, len(images), dtype=torch.float64), images.shape, torch.Generator().manual_seed(3)
    )
    alone = [operation.apply(images[i : i + 1], parameters[i : i + 1]) for i in range(len(images))]
    untouched = images.clone()
    assert torch.equal(operation.apply(images, parameters), torch.cat(alone))
    assert torch.equal(images, untouched)


NEUTRAL = sorted(set(OPERATIONS) - {"auto_contrast", "equalize", "invert"})


@pytest.mark.parametrize("name", NEUTRAL)
def test_magnitude_zero_changes_nothing_and_one_does(name: OperationName) -> None:
    images, generator = pictures(3), torch.Generator().manual_seed(0)
    assert torch.equal(OPERATIONS[name](images, torch.zeros(len(images)), generator), images)
    strong = OPERATIONS[name](images, torch.ones(len(images)), generator)
    assert torch.equal(strong, images) == (name == "identity")


SHAPE = torch.Size((1, 3, 32, 30))
RANGES: dict[OperationName, tuple[set[float], set[float]]] = {  # at magnitude 0, at magnitude 1
    "rotate": ({0}, {-135, 135}),
    "posterize": ({8}, {2}),
    "solarize": ({256}, {0}),
    "brightness": ({1}, {1 - 0.99, 1 + 0.99}),
    "shear_x": ({0}, {-0.99, 0.99}),
    "translate_x": ({0}, {-30, 30}),
    "translate_y": ({0}, {-32, 32}),
}


@pytest.mark.parametrize("name", sorted(RANGES))
def test_ranges(name: OperationName) -> None:
    weakest, strongest = (
        set(OPERATIONS[name].parameters(torch.full((64,), at).double(), SHAPE, torch.Generator()).tolist())
        for at in (0.0, 1.0)
    )
    assert (weakest, strongest) == RANGES[name]


def test_a_square_by_hand() -> None:
    image = torch.zeros(1, 1, 4, 5, dtype=torch.uint8)
    cut = cut_square(image.repeat(2, 1, 1, 1), torch.tensor([[2.0, 1.0, 3.0], [3.0, 0.0, 0.0]]))
    first = [[0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0] * 5, [0] * 5]  # rows 0, 1 and columns 2, 3
    second = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0] * 5, [0] * 5]  # the border leaves 2 of 3
    assert (cut[:, 0] // 128).tolist() == [first, second]


def test_other_channels_are_refused_where_colour_matters() -> None:
    with pytest.raises(ValueError, match="2 channels"):
        OPERATIONS["color"](torch.zeros(1, 2, 4, 4, dtype=torch.uint8), torch.ones(1), torch.Generator())
