"""What experts and fusion cost: read from the folders that ``experts train`` wrote, and put into
the manifest.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pathfuse.costs import Cost, Meter, Tally
from pathfuse.errors import InputError
from pathfuse.files.json import read_object
from pathfuse.study.study import Study
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.steps.trained import trained_manifests


def recorded_costs(study: Study) -> dict[str, Cost]:
    """The costs of those experts whose predictions lie where ``experts train`` wrote them.

    That is ``<out>/predictions/<name>.parquet``, with the key ``cost`` in ``<out>/manifest.json``.
    Whatever is missing or odd leaves the expert's cost unknown: it decides no result.
    """
    costs = {name: read_cost(file) for name, file in trained_manifests(study).items()}
    return {name: cost for name, cost in costs.items() if cost is not None}


def read_cost(manifest: Path) -> Cost | None:
    """The cost that an expert's manifest holds; None if there is none that can be read."""
    try:
        cost = Cost.from_dict(read_object(manifest)["cost"])
    except (ValueError, LookupError, TypeError):  # InputError is a ValueError
        return None
    return cost if cost.known else None


def check_costs(study: Study, costs: Mapping[str, Cost]) -> None:
    """Refuses the cost of an expert that the study does not have.

    Raises:
        InputError: A cost belongs to none of the experts.
    """
    unknown = next((name for name in costs if name not in study.expert_names), None)
    if unknown is not None:
        raise InputError(f"a cost was given for '{unknown}', which is none of the experts")


def cost_report(
    study: Study,
    costs: Mapping[str, Cost],
    model: FusedModel,
    fitting: Meter,
    counted: Tally,
    predict_flops_per_sample: float,
) -> dict[str, Any]:
    """The key ``costs`` of the manifest: every expert's cost, None where it is not known, and the
    fusion's.

    The fusion's is that of all that was fitted, whatever the method: every method of the fitted, in
    inner cross-validation, for all outer folds and labels. Evaluation and ``--ablation`` are not in
    it.

    Args:
        study: The study.
        costs: Of experts.
        model: The fusion that is kept; its parameters count.
        fitting: Of all fits.
        counted: Operations of all fits.
        predict_flops_per_sample: Mean over the judged rows, with the experts' weights.
    """
    cpu = (fitting.cost.cpu_s or 0.0) + counted.workers_cpu_s
    fusion = replace(
        fitting.cost,
        cpu_s=round(cpu, 6),
        parameters=model.parameters,
        fit_flops=float(counted.flops),
        predict_flops_per_sample=round(predict_flops_per_sample, 3),
    )
    experts = {
        name: costs[name].as_dict() if name in costs else None for name in study.expert_names
    }
    return {"experts": experts, "fusion": fusion.as_dict()}
