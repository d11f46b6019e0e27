"""What a model keeps of its fit rows, to know later whether new samples are like them.

No identifiers, no truth, no predictions: per patient the ranks of its figures among the fit rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int
from pydantic import AfterValidator, Field

from pathfuse.drift.batch import Maxima, Pool, simulate
from pathfuse.drift.figures import Figure, Figures, Values, known_kind
from pathfuse.drift.patients import Features, numbered, patient_means
from pathfuse.drift.ranks import KNOTS, Ranking, features
from pathfuse.files.schema import Stored, checked

MOST_PATIENTS = 2000
"""More are not kept: chosen with the seed, each with all of its samples."""
FEWEST_FIT = 50
"""Patients among the fit rows that a comparison needs."""
FEWEST_NEW = 20
"""New patients that a comparison needs."""
QUICK_PATIENTS, QUICK_DRAWS = 100, 2000
"""Of the simulation that is kept for ``predict``: its threshold hardly depends on the number of
patients."""
NONE = np.zeros(0)


@dataclass(frozen=True)
class Reference:
    """The fit rows of a fusion."""

    names: tuple[Figure, ...]
    ranking: Ranking
    features: Features
    """Of each patient: ranks, then squared distances from the middle (``ranks.features``)."""
    size: Int[np.ndarray, " patient"]
    """Samples of each patient."""
    loss: Float[np.ndarray, " patient"]
    """Held-out loss of the fusion, mean of each patient."""
    judged: Float[np.ndarray, "way feature"]
    """Means over the judged rows, by patient and by sample; empty where there were none of their
    own."""
    quick: Maxima
    """Sorted; see ``quick_test``."""
    scale: Float[np.ndarray, " target"] = field(default_factory=lambda: NONE)
    """Regression: what distances are measured in."""

    @classmethod
    def of(
        cls,
        fit: Figures,
        patients: np.ndarray,
        judged: tuple[Figures, np.ndarray] | None,
        seed: int,
        scale: np.ndarray = NONE,
    ) -> "Reference":
        """Keeps what is needed of the fit rows.

        Args:
            fit: Their figures, of fusions that did not see them; the loss among them.
            patients: Their patients, (sample,).
            judged: The same of judged rows that take no part in the fit; None: there are none.
            seed: Of the choice of patients and of the simulation.
            scale: Regression: what distances are measured in.
        """
        numbers = np.unique(patients.astype(str), return_inverse=True)[1]
        n_patients = int(numbers.max()) + 1
        if n_patients > MOST_PATIENTS:
            rng = np.random.default_rng(seed)
            kept = np.isin(numbers, rng.choice(n_patients, MOST_PATIENTS, replace=False))
            numbers = np.unique(numbers[kept], return_inverse=True)[1]
            fit = Figures(fit.names, fit.values[kept])
        ranking = Ranking.of(fit.values)
        found, size = patient_means(features(ranking.ranks(fit.values)), numbers)
        found = found.astype(np.float16).astype(np.float64)  # as it is kept
        loss_of = [f for f, name in enumerate(fit.names) if name.needs_truth]
        known = fit.values[:, loss_of].mean(axis=1) if loss_of else np.full(len(numbers), np.nan)
        loss = patient_means(known[:, None], numbers)[0][:, 0]
        ways = np.zeros((0, found.shape[1]))
        if judged is not None and len(np.unique(judged[1])) >= FEWEST_NEW:
            theirs = features(ranking.ranks(judged[0].select(fit.names)))
            means, _ = patient_means(theirs, numbered(judged[1].tolist()))
            ways = np.stack([means.mean(axis=0), theirs.mean(axis=0)]).astype(np.float32)
        ways, loss = ways.astype(np.float64), loss.astype(np.float32).astype(np.float64)
        made = cls(fit.names, ranking, found, size, loss, ways, NONE, scale)
        pool = made.pool(named=False, truth=False)
        return made.with_quick(simulate(pool, QUICK_PATIENTS, QUICK_DRAWS, seed))

    def with_quick(self, maxima: Maxima) -> "Reference":
        """With the simulation that ``predict`` reads its threshold from."""
        return Reference(
            self.names,
            self.ranking,
            self.features,
            self.size,
            self.loss,
            self.judged,
            np.sort(maxima).astype(np.float32).astype(np.float64),
            self.scale,
        )

    @property
    def n_patients(self) -> int:
        """Patients that are kept."""
        return len(self.size)

    @property
    def block(self) -> int:
        """Samples that count as one patient where new patients are not named."""
        return int(np.ceil((self.size**2).sum() / self.size.sum() - 1e-9))

    def watched(self, truth: bool) -> Int[np.ndarray, " feature"]:
        """Which features are compared: those of a figure with a truth only where there is one."""
        kept = np.array([truth or not name.needs_truth for name in self.names])
        return np.flatnonzero(np.tile(kept, 2))

    def figure(self, feature: int) -> tuple[Figure, bool]:
        """The figure of a feature, and whether the feature is its spread."""
        spread, number = divmod(feature, len(self.names))
        return self.names[number], bool(spread)

    def share(self, figure: Figure) -> float:
        """Of a figure that is 0 or 1: how many of the fit rows have 1, as a fraction."""
        return float(self.ranking.knots[self.names.index(figure)].mean())

    def pool(self, *, named: bool, truth: bool) -> Pool:
        """The fit patients as new ones are compared with them.

        Args:
            named: Whether it is known which new sample is of which patient.
            truth: Whether the truth of the new samples is known.
        """
        kept = self.watched(truth)
        judged = self.judged[0 if named else 1, kept] if len(self.judged) else None
        return Pool.of(self.features[:, kept], self.size, judged, named=named)

    def new_features(self, values: Values) -> Float[np.ndarray, "sample feature"]:
        """Features of new samples.

        Args:
            values: Their figures, in the order of ``names``.
        """
        return features(self.ranking.ranks(values))

    def as_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is written: JSON, and arrays by name."""
        content = {"figures": [name.as_dict() for name in self.names]}
        arrays = {
            "knots": self.ranking.knots.astype(np.float32),
            "features": self.features.astype(np.float16),
            "size": self.size.astype(np.int32),
            "loss": self.loss.astype(np.float32),
            "judged": self.judged.astype(np.float32),
            "quick": self.quick.astype(np.float32),
            "scale": self.scale,
        }
        return content, {name: np.ascontiguousarray(one) for name, one in arrays.items()}

    @classmethod
    def from_parts(
        cls, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> "Reference":
        """The inverse of ``as_parts``.

        Raises:
            ValueError: The parts do not fit one another.
            KeyError: One is missing.
        """
        stored = checked(StoredReference, content)
        names = tuple(Figure(**one.model_dump()) for one in stored.figures)
        if arrays["size"].dtype.kind != "i" or any(
            a.dtype.kind not in "fi" for a in arrays.values()
        ):
            raise ValueError("its arrays are of other kinds of numbers")
        with np.errstate(invalid="ignore"):  # of a damaged file
            own = {name: arrays[name].astype(np.float64) for name in arrays}
        found = cls(
            names,
            Ranking(own["knots"]),
            own["features"],
            arrays["size"].astype(np.int64),
            own["loss"],
            own["judged"],
            own["quick"],
            own["scale"],
        )
        n = 2 * len(names)
        fits = found.features.shape == (len(found.size), n) and len(found.ranking.knots) * 2 == n
        if not fits or found.judged.shape not in ((0, n), (2, n)) or not len(found.size):
            raise ValueError("its figures and its arrays differ in length")
        shapes = found.ranking.knots.shape[1:], found.loss.shape, found.quick.ndim, found.scale.ndim
        if shapes != ((KNOTS,), found.size.shape, 1, 1) or not len(found.quick):
            raise ValueError("its arrays differ in length")
        whole = (found.judged, found.quick, found.scale)
        if (found.size < 1).any() or not all(np.isfinite(one).all() for one in whole):
            raise ValueError("a number in it is out of range")
        return found


class StoredFigure(Stored):
    """As ``Figure.as_dict`` writes it."""

    kind: Annotated[str, AfterValidator(known_kind)]
    expert: str
    task: str
    outcome: str


class StoredReference(Stored):
    """As ``as_parts`` writes it."""

    version: int = Field(default=1, alias="schema")
    figures: Annotated[list[StoredFigure], Field(min_length=1)]
