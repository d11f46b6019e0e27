"""Which figures of a sample are watched, and how they are called.

A figure is one number per sample that needs no truth (but the loss). NaN: not known of this sample.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.types import PerSample

MOST_OUTCOMES = 24
"""With more outcomes or targets no single one is watched: there would be too many figures."""

Values = Float[np.ndarray, "sample figure"]


@dataclass(frozen=True)
class Kind:
    """A kind of figure."""

    name: str
    words: str
    """What it is, with places for an expert, a label and an outcome."""
    needs_truth: bool = False
    share: str = ""
    """Of what is yes or no of each sample: how a sentence with its share begins."""


PROBABILITY = Kind("probability", "probability of {outcome} by {who}")
LEVEL = Kind("level", "predicted {outcome} by {who}")
ENTROPY = Kind("entropy", "uncertainty (entropy) of {who}")
STATED_SD = Kind("stated_sd", "standard deviation stated by {who}")
DISTANCE = Kind("distance", "distance of {who} from the other experts")
DISAGREEMENT = Kind("disagreement", "disagreement of the experts")
MISSING = Kind("missing", "share of samples without {who}", share="{who} is missing in")
SET_SIZE = Kind("set_size", "size of the prediction set")
LOSS = Kind("loss", "loss (NLL) of the fusion", needs_truth=True)
KINDS = {
    one.name: one
    for one in (
        PROBABILITY,
        LEVEL,
        ENTROPY,
        STATED_SD,
        DISTANCE,
        DISAGREEMENT,
        MISSING,
        SET_SIZE,
        LOSS,
    )
}


@dataclass(frozen=True)
class Figure:
    """One figure."""

    kind: str
    expert: str = ""
    """Empty: of the fusion, or of all experts together."""
    task: str = "all"
    outcome: str = ""

    @property
    def needs_truth(self) -> bool:
        """Whether it is known of samples with a truth alone."""
        return KINDS[self.kind].needs_truth

    @property
    def share(self) -> str:
        """Of what is yes or no of each sample: how a sentence with its share begins; else empty."""
        return KINDS[self.kind].share.format(who=self._who)

    @property
    def words(self) -> str:
        """What it is, such as ``probability of tumor by uni``."""
        text = KINDS[self.kind].words.format(who=self._who, outcome=self.outcome)
        return text if self.task == "all" else f"{text} (label {self.task})"

    @property
    def _who(self) -> str:
        return f"'{self.expert}'" if self.expert else "the fusion"

    def as_dict(self) -> dict[str, str]:
        """JSON-ready."""
        return asdict(self)


def known_kind(name: str) -> str:
    """The name of a kind of figure.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in KINDS:
        raise ValueError(f"there is no figure '{name[:100]}'")
    return name


@dataclass(frozen=True)
class Figures:
    """Figures of samples."""

    names: tuple[Figure, ...]
    values: Values

    @classmethod
    def of(cls, parts: Iterable[tuple[Figure, PerSample]]) -> "Figures":
        """Figures one by one, put side by side."""
        listed = list(parts)
        return cls(
            tuple(name for name, _ in listed), np.stack([values for _, values in listed], axis=1)
        )

    def select(self, names: tuple[Figure, ...]) -> Values:
        """Those of some names, in their order; NaN where there is none of a name."""
        own = {name: column for column, name in enumerate(self.names)}
        found = np.full((len(self.values), len(names)), np.nan)
        for column, name in enumerate(names):
            if name in own:
                found[:, column] = self.values[:, own[name]]
        return found
