"""Augmentation that could happen to a stained section: turns, crops, stain and focus; no weather.

The benchmark's own mixture (docs/design/densebench.md, section 4) adds rain, snow and fog, and
repeated itself in every worker (section 7, defect 13). Here every view is drawn from seed, epoch
and image, whoever loads it.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
"""Optical density of haematoxylin, eosin and the rest in R, G, B; Ruifrok and Johnston 2001."""


@dataclass(frozen=True)
class Variation:
    """How far a view may go from its image; the defaults are mild."""

    flip: float = 0.5
    """Probability, for either axis."""
    turn: bool = True
    """Quarter turns; half turns only where the image is not square."""
    scale: tuple[float, float] = (0.75, 1.33)
    """Magnification of a crop before it is cut, drawn log-uniform."""
    stain: float = 0.05
    """Half width of the factor of each stain's density; the shift of it has half of that."""
    light: float = 0.1
    """Half width of the factors of contrast and brightness."""
    blur: float = 0.15
    """Probability of a loss of focus."""
    blur_px: float = 1.0
    """Largest standard deviation of it."""


MILD = Variation()


def item_rng(seed: int, epoch: int, image_id: str) -> np.random.Generator:
    """The random numbers of one image in one epoch; the same in any worker and any order."""
    digest = hashlib.sha256(image_id.encode()).digest()
    return np.random.default_rng([seed, epoch, int.from_bytes(digest[:8], "little")])


def augment(
    image: UInt8[np.ndarray, "row column 3"],
    mask: UInt8[np.ndarray, "row column"],
    rng: np.random.Generator,
    variation: Variation = MILD,
) -> tuple[UInt8[np.ndarray, "row column 3"], UInt8[np.ndarray, "row column"]]:
    """Flips and turns both; varies stain, light and focus of the image. The size stays.

    Args:
        image: RGB, 0 to 255.
        mask: Class numbers; never interpolated.
        rng: From ``item_rng``.
        variation: How far to go.
    """
    flips = rng.random(2) < variation.flip
    turns = int(rng.integers(4)) if variation.turn else 0
    if image.shape[0] != image.shape[1]:
        turns -= turns % 2
    for axis in (0, 1):
        if flips[axis]:
            image, mask = np.flip(image, axis), np.flip(mask, axis)
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    return vary_colour(image, rng, variation), np.ascontiguousarray(mask)


def vary_colour(
    image: UInt8[np.ndarray, "row column 3"], rng: np.random.Generator, variation: Variation = MILD
) -> UInt8[np.ndarray, "row column 3"]:
    """Another batch of stain, another lamp, another focus.

    References:
        Tellez et al. (2018), IEEE TMI 37: augmentation in the space of stains.
    """
    factor = 1 + rng.uniform(-variation.stain, variation.stain, 3)
    shift = rng.uniform(-variation.stain, variation.stain, 3) / 2
    contrast, brightness = 1 + rng.uniform(-variation.light, variation.light, 2)
    blurred, sigma = rng.random() < variation.blur, rng.uniform(0.3, max(0.3, variation.blur_px))
    varied = _restain(image, factor, shift)
    centre = varied.mean(axis=(0, 1))
    varied = ((varied - centre) * contrast + centre) * brightness
    if blurred:
        varied = ndimage.gaussian_filter(varied, (sigma, sigma, 0))
    return np.clip(np.rint(varied), 0, 255).astype(np.uint8)


def _restain(
    image: UInt8[np.ndarray, "row column 3"],
    factor: Float[np.ndarray, " 3"],
    shift: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, "row column 3"]:
    # both steps are linear in optical density, so they are one 3 x 3 matrix and one vector
    matrix = (np.linalg.inv(STAINS) * factor @ STAINS).astype(np.float32)
    table = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)
    density = table[image] @ matrix + (shift @ STAINS).astype(np.float32)
    return 256 * np.power(np.float32(10), -density) - 1


def random_crop(
    image: UInt8[np.ndarray, "row column 3"],
    mask: UInt8[np.ndarray, "row column"],
    size_px: int,
    rng: np.random.Generator,
    *,
    ignore: int = 255,
    scale: tuple[float, float] = (1.0, 1.0),
) -> tuple[UInt8[np.ndarray, "size size 3"], UInt8[np.ndarray, "size size"]]:
    """A random square, magnified by a factor within ``scale``.

    An image smaller than the square is reflected to fill it, and what was added does not count.
    """
    factor = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    side = max(1, round(size_px / factor))
    image, mask = fill(image, mask, side, ignore)
    top, left = (int(rng.integers(n - side + 1)) for n in mask.shape)
    window = slice(top, top + side), slice(left, left + side)
    return resize(image[window], mask[window], size_px)


def fill(
    image: UInt8[np.ndarray, "row column 3"],
    mask: UInt8[np.ndarray, "row column"],
    side_px: int,
    ignore: int,
) -> tuple[UInt8[np.ndarray, "row2 column2 3"], UInt8[np.ndarray, "row2 column2"]]:
    """Adds what is missing to ``side_px`` at the bottom and right: reflected in the image,
    ``ignore`` in the mask.
    """
    missing = [(0, max(0, side_px - n)) for n in mask.shape]
    if not any(after for _, after in missing):
        return image, mask
    return np.pad(image, [*missing, (0, 0)], mode="symmetric"), np.pad(
        mask, missing, constant_values=ignore
    )


def resize(
    image: UInt8[np.ndarray, "row column 3"], mask: UInt8[np.ndarray, "row column"], size_px: int
) -> tuple[UInt8[np.ndarray, "size size 3"], UInt8[np.ndarray, "size size"]]:
    """Both as a square, aspect not kept: the image bilinear with antialiasing, the mask by nearest
    neighbour.
    """
    if mask.shape == (size_px, size_px):
        return image, mask
    size = (size_px, size_px)
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BILINEAR)
    labels = Image.fromarray(np.ascontiguousarray(mask)).resize(size, Image.Resampling.NEAREST)
    return np.array(resized), np.array(labels)
