"""Experts of survival that give a risk and no hazards: what turns one into the other."""

from collections.abc import Mapping, Sequence

import numpy as np

from pathfuse.distributions.proportional import Baseline
from pathfuse.endpoints.base import RiskColumns
from pathfuse.evaluation.notes import listed
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.types import Index


def risk_experts(study: Study) -> list[str]:
    """Names of the experts that give a risk alone."""
    return [e.name for e in study.experts if _risks(e.outputs) is not None]


def fitted_baselines(study: Study, task: str, rows: Index) -> dict[str, Baseline]:
    """The baseline of each expert that gives a risk, from its own rows among some fit rows.

    Inner cross-validation sees hazards whose baseline, one number per bin and a slope, comes from
    all fit rows; judged rows take no part.
    """
    found: dict[str, Baseline] = {}
    place = {study.samples.ids[row]: row for row in rows}
    for expert in study.experts:
        risks = _risks(expert.outputs)
        if risks is None:
            continue
        own = [(n, place[i]) for n, i in enumerate(expert.ids) if i in place]
        if own:
            there, of_study = np.array(own).T
            found[expert.name] = Baseline.fit(
                risks.risk[there, 0], study.truth[task].observed[of_study]
            )
    return found


def baselines_or_fixed(study: Study, task: str, fit_rows: Index) -> dict[str, Baseline]:
    """The same; of experts that scored no fit row by a fixed rule, which keeps their order alone."""
    found = fitted_baselines(study, task, fit_rows)
    for expert in study.experts:
        risks = _risks(expert.outputs)
        if risks is not None and expert.name not in found:
            n_bins = len(study.endpoint.outcomes) - 1
            found[expert.name] = Baseline.fixed(risks.risk[:, 0], n_bins)
    return found


def risk_warnings(study: Study, parts: Sequence[Partition]) -> list[str]:
    """Risks that go the wrong way on fit rows, and hazards that mean nothing without fit rows."""
    names = risk_experts(study)
    if not names:
        return []
    warnings: list[str] = []
    with_fit = [part for part in parts if len(part.fit)]
    found = [fitted_baselines(study, "all", part.fit) for part in with_fit]
    for name in names:
        slopes = [one[name].found for one in found if name in one]
        wrong = [slope for slope in slopes if slope < 0]
        if wrong:
            where = f" in {len(wrong)} of {len(slopes)} folds" if len(slopes) > 1 else ""
            warnings.append(
                f"{name}: on the fit rows{where} a higher risk goes with later events (slope {min(wrong):.2f} per sd); "
                "risks must be higher for earlier events, and nothing was turned round"
            )
    bare = [n for n in names if len(with_fit) < len(parts) or any(n not in one for one in found)]
    if bare:
        warnings.append(
            f"{listed(bare)}: a risk alone, and no fit rows to learn hazards from, so that only C-index, c_index_ipcw "
            "and AUCs mean something; NLL, IBS and calibration, also of pools with them, rest on a made-up hazard"
        )
    return warnings


def _risks(outputs: Mapping[str, object]) -> RiskColumns | None:
    found = outputs.get("all")
    return found if isinstance(found, RiskColumns) else None
