"""The linear reference of a fusion of features: same features, same folds, principal components and
ridge.

A neural fusion that does not beat it is not recommended, and the expert's manifest says so
(docs/design/meta-encoder.md, section 5, defect 13).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathfuse.experts.assemble import combine_parts, cost_of, frame_of, load_parts
from pathfuse.experts.heads.registry import REFERENCE
from pathfuse.experts.parts import Prepared, stamp_of
from pathfuse.experts.recipe import reference_recipe
from pathfuse.files.write import write_table

FOLDER = "reference"


def reference_of(prepared: Prepared) -> Prepared:
    """The reference before it is trained: the expert's features and folds, another recipe."""
    expert = prepared.expert
    name, out = f"{expert.name}_{REFERENCE}", expert.out.with_name(f"{expert.out.name}.{REFERENCE}")
    other = replace(expert, name=name, recipe=reference_recipe(expert.recipe), teachers={}, out=out)
    stamp = stamp_of(other, prepared.cohort.people.inputs, prepared.cohort.folder, {})
    return replace(prepared, expert=other, stamp=stamp, teachers={})


def compare_with_reference(prepared: Prepared, reference: Prepared, folder: Path) -> dict[str, Any]:
    """Writes the reference's predictions next to the expert's, and compares their losses.

    Args:
        prepared: The expert; all parts are done.
        reference: Its reference; all parts are done.
        folder: The expert's folder.

    Returns:
        Loss of both on the samples with a truth, each by models that did not see it, and a
        sentence.
    """
    loaded = load_parts(reference)
    own, other = combine_parts(load_parts(prepared)), combine_parts(loaded)
    (folder / FOLDER).mkdir()
    write_table(frame_of(reference, other), folder / FOLDER / f"{reference.expert.name}.parquet")
    loss, base = (held_out_loss(prepared, *one[:2]) for one in (own, other))
    people, name = prepared.cohort.people, prepared.expert.name
    judged = own[0][people.targets.usable[own[0]]]
    where = (
        f"{len(judged)} samples of {len(set(people.samples.patients[judged].tolist()))} patients"
    )
    verdict = (
        f"the loss of {name}, {loss:.4f}, is {'below' if loss < base else 'not below'} that of {REFERENCE} on the same "
        f"features and folds, {base:.4f} ({where}; without an interval, so this may be chance)"
        f"{'' if loss < base else f'; {name} is not recommended'}"
    )
    return {
        "name": reference.expert.name,
        "measure": people.targets.way.measure,
        "loss": loss,
        "reference_loss": base,
        "better": bool(loss < base),
        "verdict": verdict,
        "cost": cost_of(reference, loaded).as_dict(),
    }


def held_out_loss(prepared: Prepared, rows: np.ndarray, raw: np.ndarray) -> float:
    """Mean loss of held-out outputs over the samples with a truth.

    Regression in standard deviations of all targets.
    """
    targets = prepared.cohort.people.targets
    judged = targets.usable[rows]
    rows, raw = rows[judged], raw[judged]
    values, scales = targets.way.scale(
        targets.values, targets.known, np.flatnonzero(targets.usable)
    )
    raw = targets.way.scale_outputs(raw, scales)
    parts = (
        torch.from_numpy(np.asarray(part)) for part in (raw, values[rows], targets.known[rows])
    )
    return float(targets.way.loss(*parts).mean())
