"""The judged rows in a file, for other processes that work on their resamples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.resampling import Resamples

NAME = "judged.npz"


def write_judged(
    folder: Path,
    judged: Judged,
    names: Sequence[str],
    rows: Bool[np.ndarray, " sample"],
    resamples: Resamples,
) -> Path:
    """Writes what the metrics of some methods on some rows need; returns the file."""
    arrays = {
        "names": np.array(names, dtype=np.str_),
        "rows": rows,
        "observed": judged.observed,
        "patients": judged.patients,
        "folds": judged.folds,
        "counts": resamples.counts,
        "patient_of_row": resamples.patient_of_row,
    }
    arrays |= {f"predictions_{n}": judged.predictions[name] for n, name in enumerate(names)}
    if judged.sections is not None:
        arrays["sections"] = judged.sections
    if resamples.parts is not None:
        arrays["parts"] = resamples.parts
    if judged.context is not None:
        known = judged.context
        arrays |= {"time": known.time, "event": known.event, "edges": known.edges}
        for n, censoring in enumerate(known.censorings):
            arrays |= {f"times_{n}": censoring.times, f"survival_{n}": censoring.survival}
    place = folder / NAME
    np.savez(place, allow_pickle=False, **arrays)
    return place


def read_judged(place: Path) -> tuple[Judged, Bool[np.ndarray, " sample"], Resamples]:
    """The judged rows, with the predictions of some methods; their rows; and the resamples."""
    with np.load(place, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    context = None
    if "time" in arrays:
        n_folds = sum(name.startswith("times_") for name in arrays)
        censorings = tuple(
            Censoring(arrays[f"times_{n}"], arrays[f"survival_{n}"]) for n in range(n_folds)
        )
        context = SurvivalTruth(arrays["time"], arrays["event"], arrays["edges"], censorings)
    names = arrays["names"].tolist()
    judged = Judged(
        arrays["observed"],
        arrays["patients"],
        arrays["folds"],
        {name: arrays[f"predictions_{n}"] for n, name in enumerate(names)},
        context,
        sections=arrays.get("sections"),
    )
    counts, patient_of_row = arrays["counts"], arrays["patient_of_row"]
    return judged, arrays["rows"], Resamples(counts, patient_of_row, arrays.get("parts"))
