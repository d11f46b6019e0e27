"""Pearson correlation of expression inside a section, and its spread when blocks of spots are drawn
again."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

FLAT = 1e-10
"""Variance below which a target or a prediction is constant, as a share of its mean square."""
Expression = Float[np.ndarray, "spot gene"]


@dataclass(frozen=True)
class Sections:
    """Where spots lie, and how often each resample draws them."""

    rows: tuple[np.ndarray, ...]
    """The spots of each section."""
    draws: tuple[np.ndarray, ...]
    """Float, (1 + resample, spot): how often each spot of a section counts; first every spot once."""


def draw_blocks(section: np.ndarray, block: np.ndarray, n_resamples: int, seed: int) -> Sections:
    """Draws as many whole blocks as a section has, with replacement, section by section.

    Args:
        section: Of each spot.
        block: Of each spot; a block lies in one section.
        n_resamples: Resamples.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    rows = tuple(np.flatnonzero(section == name) for name in np.unique(section))
    draws = []
    for own in rows:
        names, member = np.unique(block[own], return_inverse=True)
        count = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_resamples)
        draws.append(np.concatenate([np.ones((1, len(own))), count[:, member]]))
    return Sections(rows, tuple(draws))


@dataclass(frozen=True)
class Score:
    """Pearson per gene inside a section, averaged over genes, then over sections.

    See docs/design/meta-encoder.md, section 6.4.
    """

    by_section: Float[np.ndarray, "section resample"]
    """First the value itself."""
    missing: int
    """Genes with a constant target or prediction, over all sections; they are left out, and do not
    count as 0."""

    @property
    def mean(self) -> Float[np.ndarray, " resample"]:
        """Over sections."""
        return np.asarray(np.nanmean(self.by_section, axis=0))


def spatial_pearson(predicted: Expression, truth: Expression, sections: Sections) -> Score:
    """Scores predictions in every section and resample."""
    values, missing = [], 0
    for rows, draws in zip(sections.rows, sections.draws, strict=True):
        each = weighted_pearson(predicted[rows], truth[rows], draws)
        missing += int(np.isnan(each[0]).sum())
        values.append(np.nanmean(each, axis=1))
    return Score(np.stack(values), missing)


def weighted_pearson(
    x: Expression, y: Expression, weights: Float[np.ndarray, "resample spot"]
) -> Float[np.ndarray, "resample gene"]:
    """Pearson correlation under weights; NaN where either is constant."""
    share = weights / weights.sum(axis=1, keepdims=True)
    x, y = (
        x - x.mean(axis=0),
        y - y.mean(axis=0),
    )  # about zero, so that the differences below lose no digits
    mean_x, mean_y = share @ x, share @ y
    square_x, square_y = share @ x**2, share @ y**2
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = share @ (x * y) - mean_x * mean_y
    varies = (variance_x > FLAT * square_x) & (variance_y > FLAT * square_y)
    root = np.sqrt(np.where(varies, variance_x * variance_y, 1.0))
    return np.where(varies, covariance / root, np.nan)
