"""What the numbers of one image are: logits, probabilities as models leave them, rounded or in per
cent, or a share of each class by itself (sigmoid).
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32

Rows = Float[np.ndarray, "outcome row column"]

FLOOR = 1e-7
"""A smaller probability counts as this one: its logarithm would be without end."""
TOLERANCE = 2e-3
"""Of the sum over classes: float16 keeps three digits of each."""
LOOSE = 0.05
"""Of the sum over classes, in every pixel of an image: logits do not come so near to 1 by chance,
and probabilities that were rounded, resized or averaged do not stay nearer."""
OUTSIDE = 0.05
"""How far resized probabilities reach beyond 0 and 1."""
SCALES = (1.0, 100.0, 255.0)
"""What probabilities sum to: as they are, in per cent, and as 8 bits."""
STEPS = (0.1, 0.01, 0.001, 1 / 255)
"""What probabilities are rounded to, as shares of their scale."""
HALF_PRECISION = 6e-4
"""How far float16 is from a number up to 1, as a share of it."""


@dataclass(frozen=True)
class NumberKind:
    """What the numbers are."""

    scale: float | None
    """What the probabilities of a pixel sum to; None if they are none."""
    step: float | None
    """What probabilities are rounded to, on the scale of 1; None if they are not."""
    lowest_sum: float
    highest_sum: float
    """Over the pixels, of the numbers as they are."""
    is_share_of_each: bool = False
    """Whether all numbers lie between 0 and 1, but the sums are not near 1."""
    floored: int = 0
    """How many probabilities are below ``floor``."""
    outside: int = 0
    """How many probabilities lie below 0 or above the scale."""
    has_blank: bool = False
    """Whether pixels are 0 in all classes, as outside the tissue: all classes are alike there."""

    @property
    def is_probability(self) -> bool:
        """Whether these are probabilities of the classes."""
        return self.scale is not None

    @property
    def floor(self) -> float:
        """The least probability: of a number that was rounded to 0 the middle of what it can be."""
        return FLOOR if self.step is None else self.step / 4

    @property
    def is_exact(self) -> bool:
        """Whether the probabilities sum to 1 as they are."""
        near = max(abs(self.lowest_sum - 1), abs(self.highest_sum - 1)) <= TOLERANCE
        return self.scale == 1 and self.outside == 0 and near

    def log(
        self, values: Float32[np.ndarray, "row column outcome"]
    ) -> Float32[np.ndarray, "row column outcome"]:
        """Logarithms of probabilities, which sum to 1 in every pixel."""
        if self.has_blank:
            blank = (values == 0).all(axis=2, keepdims=True)
            alike = np.float32((self.scale or 1) / values.shape[2])
            values = np.where(blank, alike, values)
        if self.is_exact and self.step is None:
            return np.log(np.maximum(values, np.float32(FLOOR)))
        shares = np.maximum(values / np.float32(self.scale or 1), np.float32(self.floor))
        return np.log(shares / shares.sum(axis=2, keepdims=True))

    def in_words(self) -> str:
        """What the numbers are, and what is made of them."""
        per_cent = {100.0: " in per cent", 255.0: " from 0 to 255"}.get(self.scale or 1, "")
        top = f"{self.scale:g}"
        if self.is_exact:
            sums = f"(between 0 and {top}, the sum over classes {top} in every pixel)"
        else:
            sums = f"(the sums over classes {self.lowest_sum:.4g} to {self.highest_sum:.4g}, which are scaled to 1)"
        rounded = f", rounded to {self.step:.3g}" if self.step is not None else ""
        blank = "; pixels of 0 in all classes are taken as undecided" if self.has_blank else ""
        return f"probabilities{per_cent}{rounded} {sums}{blank}"


@dataclass
class Evidence:
    """What was seen of an image's numbers so far."""

    n_classes: int
    low: float = np.inf
    high: float = -np.inf
    lowest_sum: float = np.inf
    highest_sum: float = -np.inf
    steps: dict[float, list[float]] = field(
        default_factory=lambda: {scale: [*STEPS] for scale in SCALES}
    )
    """What all numbers are multiples of, by scale."""
    hard: set[float] = field(default_factory=lambda: {*SCALES})
    """Scales of which all numbers are 0 or the scale: decisions, not rounded probabilities."""
    tiny: dict[tuple[float, float], int] = field(default_factory=dict)
    """Scale and floor to how many numbers lie below."""
    outside: dict[float, int] = field(default_factory=dict)
    """Scale to how many numbers lie below 0 or above the scale."""
    has_blank: bool = False
    """Whether pixels are 0 in all classes; their sums do not count."""

    def add(self, values: Rows) -> None:
        """Takes rows into account."""
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        blank = (values == 0).all(axis=0)
        if blank.any():
            self.has_blank = True
            values = values[:, ~blank][:, None]
        if not values.size:
            return
        sums = values.sum(axis=0, dtype=np.float64)
        self.lowest_sum = min(self.lowest_sum, sums.min())
        self.highest_sum = max(self.highest_sum, sums.max())
        if self.is_logit:
            return
        for scale in SCALES:
            if not self._may_be(scale):
                continue
            shares = values / np.float32(scale)
            self.steps[scale] = [step for step in self.steps[scale] if _multiples(shares, step)]
            if not ((shares == 0) | (shares == 1)).all():
                self.hard.discard(scale)
            for floor in (FLOOR, *(step / 4 for step in self.steps[scale])):
                key = (scale, floor)
                self.tiny[key] = self.tiny.get(key, 0) + int((shares < floor).sum())
            beyond = int(((shares < 0) | (shares > 1 + TOLERANCE)).sum())
            self.outside[scale] = self.outside.get(scale, 0) + beyond

    @property
    def is_logit(self) -> bool:
        """Whether the numbers can be nothing else."""
        unit = self.low >= 0 and self.high <= 1
        return not unit and not any(self._may_be(scale) for scale in SCALES)

    def _may_be(self, scale: float) -> bool:
        """Whether these may be probabilities on a scale."""
        inside = self.low >= -OUTSIDE * scale and self.high <= (1 + OUTSIDE) * scale
        largest = max([LOOSE, *(self._rounding(step) for step in self.steps[scale])])
        return bool(inside and self._off(scale) <= largest)

    def _rounding(self, step: float) -> float:
        """How far sums are from 1 at most, if every number is rounded."""
        return self.n_classes * step / 2 + TOLERANCE

    def _off(self, scale: float) -> float:
        """How far sums are from what probabilities sum to, on the scale of 1."""
        return max(abs(self.lowest_sum / scale - 1), abs(self.highest_sum / scale - 1))

    def kind(self) -> NumberKind:
        """What the numbers are."""
        lowest, highest = self.lowest_sum, self.highest_sum
        if lowest > highest:  # all pixels are 0 in all classes
            lowest = highest = 0.0
        sums = (float(lowest), float(highest))
        scale = next((one for one in SCALES if self._may_be(one)), None)
        if scale is None:
            return NumberKind(None, None, *sums, bool(self.low >= 0 and self.high <= 1))
        step = None if scale in self.hard else next(iter(self.steps[scale]), None)
        floor = FLOOR if step is None else step / 4
        return NumberKind(
            scale,
            step,
            *sums,
            floored=self.tiny.get((scale, floor), 0),
            outside=self.outside.get(scale, 0),
            has_blank=self.has_blank,
        )


def _multiples(shares: Rows, step: float) -> bool:
    """Whether all numbers are multiples of a step, but for what float16 loses."""
    counts = shares / np.float32(step)
    return bool((np.abs(counts - np.rint(counts)) <= HALF_PRECISION * np.abs(counts) + 1e-3).all())
