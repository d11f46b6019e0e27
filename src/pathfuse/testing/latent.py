"""The hidden truth of a made-up cohort: what a patient has and where on the slides it shows.

Everything is drawn from the seed by a stream of its own, so that neither the endpoint nor the
number of encoders changes the patients, and no slide changes another.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

CLASSES = ("adipose", "stroma", "tumor")
AXES = len(CLASSES) + 5
"""Of a tile's state: one per class, and five that say nothing about the patient."""
SIGNAL_SHARE = 0.15
"""Of a slide's tiles; the rest looks alike in all patients."""
TINT = 0.25
"""Spread of the slides' own shades, in standard deviations of a tile."""
TILE_PX = 256
UM_PER_PX = 0.5
PATIENTS, SLIDES, PROJECTION, NOISE, LABELS, MISSING, SPLIT = range(7)
"""The streams."""


def stream(seed: int, *path: int) -> np.random.Generator:
    """The random numbers of one purpose."""
    return np.random.default_rng([seed, *path])


@dataclass(frozen=True)
class Patients:
    """Who there is."""

    ids: tuple[str, ...]
    sites: Int[np.ndarray, " patient"]
    kind: Int[np.ndarray, " patient"]
    """Index into ``CLASSES``, as equally often as the number allows."""
    state: Float[np.ndarray, "patient class"]
    """How much of each class a patient shows: about 1 for its own, about 0 else. Every endpoint
    derives from this."""
    slides: tuple[tuple[str, ...], ...]
    """Names, per patient."""


@dataclass(frozen=True)
class MadeUpSlide:
    """What there is on one slide."""

    name: str
    site: int
    xy: Int[np.ndarray, "tile 2"]
    """Upper left corners in level-0 pixels."""
    state: Float[np.ndarray, "tile axis"]
    signal: Bool[np.ndarray, " tile"]
    """True where the patient's state shows: one patch of neighbours."""


def draw_patients(seed: int, n: int, n_sites: int, slides: tuple[int, int]) -> Patients:
    """The patients of a cohort."""
    rng = stream(seed, PATIENTS)
    digits = max(3, len(str(n)))
    ids = tuple(f"P{number:0{digits}d}" for number in range(1, n + 1))
    kind = rng.permutation(np.arange(n) % len(CLASSES))
    state = np.eye(len(CLASSES))[kind] + rng.normal(0, 0.35, (n, len(CLASSES)))
    sites = rng.permutation(np.arange(n) % n_sites)
    counts = rng.integers(slides[0], slides[1], endpoint=True, size=n)
    # A dot, as in TCGA's slide names: whoever cuts at the last one loses the slide
    names = tuple(
        tuple(f"{who}.{k}" for k in range(1, count + 1))
        for who, count in zip(ids, counts, strict=True)
    )
    return Patients(ids, sites, kind, state, names)


def draw_slide(
    seed: int,
    number: int,
    name: str,
    site: int,
    shown: Float[np.ndarray, " class"],
    tiles: tuple[int, int],
) -> MadeUpSlide:
    """One slide: tiles on a grid, and ``shown`` added to the state of a patch of them."""
    rng = stream(seed, SLIDES, number)
    n = int(rng.integers(tiles[0], tiles[1], endpoint=True))
    side = int(np.ceil(np.sqrt(1.6 * n)))  # tissue covers about three fifths of its frame
    cells = np.sort(rng.choice(side * side, n, replace=False))
    xy = np.stack([cells % side, cells // side], axis=1)
    # A tint of the whole slide blurs its mean, but hardly hides tiles that stand out: what
    # attention is for
    state = rng.normal(size=(n, AXES)) + rng.normal(0, TINT, AXES)
    distance = np.square(xy - xy[rng.integers(n)]).sum(1)
    signal = np.zeros(n, dtype=bool)
    signal[np.argsort(distance, kind="stable")[: max(1, round(SIGNAL_SHARE * n))]] = True
    state[signal, : len(CLASSES)] += shown
    return MadeUpSlide(name, site, (xy + 4) * TILE_PX, state, signal)


@dataclass(frozen=True)
class Encoder:
    """How one encoder sees a tile: its own random projection, good at one class and weak at the
    others.
    """

    name: str
    projection: Float[np.ndarray, "axis dim"]
    site_shift: Float[np.ndarray, "site dim"]
    index: int


GOOD_AT, WEAK_AT = 1.0, 0.25


def draw_encoder(seed: int, index: int, name: str, dim: int, n_sites: int) -> Encoder:
    """The encoder of that place in the plan; it is good at class ``index`` modulo 3."""
    rng = stream(seed, PROJECTION, index)
    gain = np.ones(AXES)
    gain[: len(CLASSES)] = WEAK_AT
    gain[index % len(CLASSES)] = GOOD_AT
    projection = gain[:, None] * rng.normal(0, 1 / np.sqrt(AXES), (AXES, dim))
    return Encoder(name, projection, rng.normal(0, 0.1, (n_sites, dim)), index)


def see(
    seed: int, encoder: Encoder, number: int, slide: MadeUpSlide
) -> Float[np.ndarray, "tile dim"]:
    """The features that an encoder gives the tiles of a slide."""
    noise = stream(seed, NOISE, encoder.index, number).normal(
        0, 0.5, (len(slide.xy), encoder.projection.shape[1])
    )
    return slide.state @ encoder.projection + encoder.site_shift[slide.site] + noise
