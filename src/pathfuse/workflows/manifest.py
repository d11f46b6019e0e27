"""``manifest.json``: what was read, what was left out and why, and how to repeat the run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pathfuse.files.manifest import software
from pathfuse.study.left_out import SHOWN
from pathfuse.study.study import Study

NO_TRUTH = "no truth: neither fitted on nor judged"
UNSCORED = "rows that this expert did not score"


def describe(
    study: Study, fitted: np.ndarray, judged: np.ndarray, calibrating: np.ndarray | None = None
) -> dict[str, Any]:
    """Inputs, rows and experts of a study.

    Args:
        study: The study.
        fitted: Bool, (sample,): rows that a fusion was fitted on.
        judged: Bool, (sample,): rows that methods were judged on.
        calibrating: Bool, (sample,): rows that calibrated conformal sets; None: there were none.
    """
    calibrating = np.zeros_like(fitted) if calibrating is None else calibrating
    used = fitted | judged | calibrating
    return {
        **software(),
        "endpoint": study.endpoint.as_dict(),
        "positive_class": study.endpoint.positive_class,
        "inputs": study.inputs,
        "blanks_stripped": study.blanks,
        "rows": {
            "read": len(study.samples.ids),
            "fit": int(fitted.sum()),
            **({"calibration": int(calibrating.sum())} if calibrating.any() else {}),
            "judged": int(judged.sum()),
            "patients_fit": len(np.unique(study.samples.patients[fitted].astype(str))),
            "patients_judged": len(np.unique(study.samples.patients[judged].astype(str))),
            "fit_without_patient": int((fitted & ~study.samples.has_patient).sum()),
            "judged_without_patient": int((judged & ~study.samples.has_patient).sum()),
        },
        "understood": list(study.understood),
        "left_out": [*study.left_out, *rows_left_out(study, used)],
        "experts": {
            expert.name: _describe_expert(study, m, fitted, judged)
            for m, expert in enumerate(study.experts)
        },
    }


def rows_left_out(study: Study, used: np.ndarray) -> list[dict[str, Any]]:
    """Rows that have no part, and rows that one expert did not score although others did."""
    reasons: dict[str, list[int]] = {}
    scored = study.n_scored() > 0
    for n in np.flatnonzero(~used):
        role = study.samples.roles[n] if study.samples.roles is not None else None
        if role == "train":
            reason = "role 'train': the experts saw these rows"
        elif not scored[n]:
            reason = "scored by no expert"
        else:
            reason = "not part of this run"
        reasons.setdefault(reason, []).append(int(n))
    known = np.any([truth.known for truth in study.truth.values()], axis=0)
    reasons[NO_TRUTH] = np.flatnonzero(used & ~known).tolist()
    found = [_line(study, why, rows) for why, rows in sorted(reasons.items()) if rows]
    for expert in study.experts:
        known = set(expert.ids)
        rows = [n for n in np.flatnonzero(used).tolist() if study.samples.ids[n] not in known]
        if rows:
            found.append({"expert": expert.name, **_line(study, UNSCORED, rows)})
    return found


def _line(study: Study, reason: str, rows: Sequence[int]) -> dict[str, Any]:
    """Some rows that are left out, and of how many patients they are."""
    samples = study.samples
    first = samples.ids[list(rows[:SHOWN])].tolist()
    return {"reason": reason, "n": len(rows), "first": first, **samples.counted(rows)}


def _describe_expert(
    study: Study, m: int, fitted: np.ndarray, judged: np.ndarray
) -> dict[str, Any]:
    expert = study.experts[m]
    scored = np.isin(study.samples.ids.astype(str), np.array(expert.ids, dtype=str))
    outputs = list(expert.outputs.values())
    return {
        "source": expert.source,
        "rows_read": len(expert.ids),
        "coverage_fit": float(scored[fitted].mean()) if fitted.any() else None,
        "coverage_judged": float(scored[judged].mean()) if judged.any() else None,
        "cells_floored": sum(o.n_floored for o in outputs),
        "columns_ignored": sorted({name for o in outputs for name in o.ignored}),
        "outcomes_unknown": sorted(
            {study.endpoint.outcomes[k] for o in outputs for k in np.flatnonzero(o.group < 0)}
        ),
        "label_map": dict(expert.label_map) if expert.label_map is not None else None,
    }
