"""A made-up cohort: features of several encoders in other tools' layouts, and labels that can be
learnt from them.

The signal sits in a few tiles of a slide, and each encoder sees one part of it well, so that
multiple-instance learning and fusion have something to gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool

from pathfuse.endpoints.detect import ENDPOINTS as KNOWN_ENDPOINTS
from pathfuse.errors import InputError
from pathfuse.files.write import write_table
from pathfuse.testing.labels import ENDPOINTS, TIME_EDGES, draw_split, targets
from pathfuse.testing.latent import (
    MISSING,
    MadeUpSlide,
    Patients,
    draw_encoder,
    draw_patients,
    draw_slide,
    see,
    stream,
)
from pathfuse.testing.layouts import KINDS, feature_folder, write_features

UNLABELLED = "unlabelled.1"
"""A slide that the first encoder has and no table mentions."""


def _encoders() -> dict[str, tuple[str, int]]:
    return {"alpha": ("trident", 32), "beta": ("clam", 24), "gamma": ("stamp", 16)}


@dataclass(frozen=True)
class CohortPlan:
    """What to make up.

    Equal seeds and sizes give the same patients and features whatever the endpoint.

    Raises:
        InputError: A number makes no sense, or a name is unknown.
    """

    n_patients: int = 60
    slides_per_patient: tuple[int, int] = (1, 3)
    """Fewest and most."""
    tiles_per_slide: tuple[int, int] = (20, 60)
    """Fewest and most."""
    encoders: Mapping[str, tuple[str, int]] = field(default_factory=_encoders)
    """Layout (``trident``, ``clam`` or ``stamp``) and number of features, by name."""
    endpoint: str = "multiclass"
    missing_slides: float = 0.05
    """Share of the slides that an encoder lacks; another slide for each encoder."""
    n_sites: int = 3
    seed: int = 0
    signal: float = 3.5
    """Shift of a signal tile along its patient's class, in standard deviations of a tile."""

    def __post_init__(self) -> None:
        if self.endpoint not in ENDPOINTS:
            raise InputError(f"the endpoint '{self.endpoint}' is none of {', '.join(ENDPOINTS)}")
        for what, (low, high) in {
            "slides": self.slides_per_patient,
            "tiles": self.tiles_per_slide,
        }.items():
            if not 1 <= low <= high:
                raise InputError(f"from {low} to {high} {what} is not a range from 1 up")
        if min(self.n_patients, self.n_sites) < 1 or self.seed < 0:
            raise InputError("a cohort needs at least one patient, one site and a seed from 0 up")
        for name, (kind, dim) in self.encoders.items():
            if kind not in KINDS or dim < 1:
                raise InputError(
                    f"encoder '{name}': {dim} features as {kind} is none of the layouts {', '.join(KINDS)}"
                )
        if not 0 <= self.missing_slides * max(1, len(self.encoders)) < 1:
            raise InputError(
                f"the share {self.missing_slides:g} of missing slides leaves no complete patient"
            )


@dataclass(frozen=True)
class MadeUpCohort:
    """Where everything was written."""

    labels: Path
    """One row per patient."""
    slides: Path
    """``sample_id`` (the patient) and ``slide_id``."""
    features: dict[str, Path]
    """The folder of each encoder's files; for CLAM the one that holds ``h5_files``."""
    endpoint: str
    time_edges: tuple[float, ...] | None
    """For survival."""


def write_cohort(folder: Path, plan: CohortPlan | None = None) -> MadeUpCohort:
    """Writes ``labels.csv``, ``slides.csv`` and ``features/``; the same plan gives the same bytes.

    Raises:
        InputError: The plan cannot be met, or h5py or torch is not installed.
    """
    plan = plan or CohortPlan()
    labels, slides_file = write_labels(folder, plan)
    slides = draw_slides(plan)
    absent = _absent(plan)
    places = {
        name: feature_folder(folder / "features", kind, name)
        for name, (kind, _) in plan.encoders.items()
    }
    for index, (name, (kind, dim)) in enumerate(plan.encoders.items()):
        encoder = draw_encoder(plan.seed, index, name, dim, plan.n_sites)
        for number, slide in enumerate(slides):
            unknown_here = slide.name == UNLABELLED and index > 0
            if slide.name not in absent[name] and not unknown_here:
                write_features(
                    places[name], kind, name, slide, see(plan.seed, encoder, number, slide)
                )
    edges = TIME_EDGES if KNOWN_ENDPOINTS[plan.endpoint].in_time else None
    return MadeUpCohort(labels, slides_file, places, plan.endpoint, edges)


def write_labels(folder: Path, plan: CohortPlan) -> tuple[Path, Path]:
    """Writes the tables alone: another endpoint for the features of a plan that is equal otherwise.

    Returns:
        ``labels.csv`` and ``slides.csv``.

    Raises:
        InputError: There are too few patients for every label in both parts.
    """
    patients = _patients(plan)
    folder.mkdir(parents=True, exist_ok=True)
    labels = pl.DataFrame(
        {
            "sample_id": patients.ids,
            "patient_id": patients.ids,
            "site": [f"site_{site + 1}" for site in patients.sites.tolist()],
            "split": draw_split(patients, plan.seed),
            **targets(patients, plan.endpoint, plan.seed),
        }
    )
    pairs = [
        (who, slide)
        for who, slides in zip(patients.ids, patients.slides, strict=True)
        for slide in slides
    ]
    write_table(labels, folder / "labels.csv")
    write_table(
        pl.DataFrame(pairs, schema=["sample_id", "slide_id"], orient="row"), folder / "slides.csv"
    )
    return folder / "labels.csv", folder / "slides.csv"


def draw_slides(plan: CohortPlan) -> list[MadeUpSlide]:
    """Every slide of the plan, the one without a label last."""
    patients = _patients(plan)
    owners = [(name, i) for i, names in enumerate(patients.slides) for name in names] + [
        (UNLABELLED, 0)
    ]
    return [
        draw_slide(
            plan.seed,
            k,
            name,
            int(patients.sites[i]),
            plan.signal * patients.state[i],
            plan.tiles_per_slide,
        )
        for k, (name, i) in enumerate(owners)
    ]


def signal_tiles(plan: CohortPlan) -> dict[str, Bool[np.ndarray, " tile"]]:
    """Which tiles of each slide carry the signal: where attention should go."""
    return {slide.name: slide.signal for slide in draw_slides(plan)}


def _patients(plan: CohortPlan) -> Patients:
    return draw_patients(plan.seed, plan.n_patients, plan.n_sites, plan.slides_per_patient)


def _absent(plan: CohortPlan) -> dict[str, set[str]]:
    """The slides that each encoder lacks: none of them twice, and none of one patient's."""
    rng = stream(plan.seed, MISSING)
    patients = _patients(plan)
    n_slides = sum(map(len, patients.slides))
    complete = int(rng.integers(len(patients.ids)))
    others = [name for i, names in enumerate(patients.slides) if i != complete for name in names]
    wanted = max(1, round(plan.missing_slides * n_slides)) if plan.missing_slides > 0 else 0
    order = rng.permutation(len(others)).tolist()
    return {
        name: {others[k] for k in order[index * wanted : (index + 1) * wanted]}
        for index, name in enumerate(plan.encoders)
    }
