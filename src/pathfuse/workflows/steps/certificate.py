"""The certificate of a fusion, over all labels and folds, as ``certificate.json`` has it."""

from collections.abc import Sequence
from typing import Any

from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.workflows.steps.fitting import TaskFit
from pathfuse.workflows.steps.outer import Fits


def certify(
    study: Study, parts: Sequence[Partition], fits: Fits, final: dict[str, TaskFit]
) -> dict[str, Any]:
    """The certificate of the model that is kept; per label and per fold where there are several."""
    content = _task_certificates(study, final)
    if len(parts) > 1:
        folds = {
            part.name: _task_certificates(study, fit) for part, fit in zip(parts, fits, strict=True)
        }
        content |= {
            "folds": folds,
            "holds": content["holds"] and all(f["holds"] for f in folds.values()),
        }
    return content


def _task_certificates(study: Study, fit: dict[str, TaskFit]) -> dict[str, Any]:
    certificates = {
        task: task_fit.fused.certificate_.as_dict(study.expert_names)
        for task, task_fit in fit.items()
    }
    if len(certificates) == 1:
        return next(iter(certificates.values()))
    n = len(certificates)
    experts = {
        name: sum(c["experts"][name] for c in certificates.values()) / n
        for name in study.expert_names
    }
    return {
        "objective": "nll",
        "fused": sum(c["fused"] for c in certificates.values()) / n,
        "experts": experts,
        "best_expert": min(experts, key=lambda name: experts[name]),
        "holds": all(c["holds"] for c in certificates.values()),
        "outputs": certificates,
    }
