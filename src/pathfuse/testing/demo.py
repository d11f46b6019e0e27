"""A made-up cohort with a ``study.yaml``.

``python -m pathfuse.testing.demo FOLDER [ENDPOINT ...]`` writes one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pathfuse.experts.heads.registry import HEADS as HEAD_FACTS
from pathfuse.testing.cohort import CohortPlan, write_cohort
from pathfuse.testing.labels import ENDPOINTS

HEADS = ("pooled_linear", "pooled_kernel", "pooled_forest", "abmil")
"""Of every encoder."""
QUICK = "networks: 1  # three per part are the default; one makes a demo quick"
PATIENTS = 180
"""Of the demo: enough to judge by."""


def write_demo(folder: Path, plan: CohortPlan | None = None, heads: Sequence[str] = HEADS) -> Path:
    """Writes tables, features of three encoders and the study file that runs them.

    Args:
        folder: Created if need be.
        plan: Of the cohort.
        heads: Every encoder gets each of them.

    Returns:
        ``study.yaml``.
    """
    cohort = write_cohort(folder, plan)
    lines = ["samples: labels.csv", "slides: slides.csv", "features:"]
    lines += [f"  {name}: {place.relative_to(folder)}" for name, place in cohort.features.items()]
    if cohort.time_edges is not None:
        edges = ", ".join(
            ".inf" if edge == float("inf") else f"{edge:g}" for edge in cohort.time_edges
        )
        lines.append(f"time_edges: [{edges}]")
    lines.append("experts:")
    for head in heads:
        lines.append(f"  - head: {head}")
        if not HEAD_FACTS[head].pooled:
            lines.append(f"    {QUICK}")
    lines += ["out: result", ""]
    file = folder / "study.yaml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def main(arguments: Sequence[str]) -> None:
    """Writes one demo per endpoint, each in its own sub-folder if there are several."""
    folder, kinds = Path(arguments[0]), list(arguments[1:]) or ["multiclass"]
    for kind in kinds:
        place = folder / kind if len(kinds) > 1 else folder
        sys.stdout.write(f"{write_demo(place, CohortPlan(n_patients=PATIENTS, endpoint=kind))}\n")


if __name__ == "__main__":
    if len(sys.argv) < 2 or set(sys.argv[2:]) - set(ENDPOINTS):
        sys.exit(f"usage: python -m pathfuse.testing.demo FOLDER [{'|'.join(ENDPOINTS)} ...]")
    main(sys.argv[1:])
