"""What ``model.json`` holds, and whether its parts fit one another and ``model.safetensors``: a model
that loads also predicts.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from pathfuse.calibration.conformal import PredictionIntervals, PredictionSets, sets_from_dict
from pathfuse.distributions.proportional import Baseline
from pathfuse.drift.reference import Reference
from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.files.model_folder import EMPTY, has_model, place_of, read_model
from pathfuse.files.schema import Names, Stored, checked
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.layout import made_up_presence
from pathfuse.fusion.registry import names_of
from pathfuse.fusion.store import dump, restore
from pathfuse.workflows.model import (
    FITTED,
    NAME,
    REFERENCE,
    REFERENCE_SCHEMA,
    SCHEMA,
    Aligned,
    FusedModel,
)

Share = Annotated[float, Field(ge=0, le=1)]
Tensors = Mapping[str, np.ndarray]


class StoredModel(Stored):
    """As ``FusedModel.save`` writes it."""

    version: Annotated[int, Field(alias="schema", ge=1)]
    endpoint: dict[str, Any]
    experts: Names
    label_maps: dict[str, dict[str, str] | None]
    frequency: dict[str, list[float]]
    fusions: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    conformal: dict[str, dict[str, Any]] = Field(default_factory=dict)
    baselines: dict[str, dict[str, Any]] = Field(default_factory=dict)
    class_orders: dict[str, Names] = Field(default_factory=dict)


def restored(content: Mapping[str, Any], tensors: Tensors) -> FusedModel:
    """The model that two files describe, without what is known of its fit rows.

    Args:
        content: Of ``model.json``.
        tensors: Of ``model.safetensors``.

    Raises:
        ValueError: They do not fit one another; or what they describe does not predict.
    """
    stored = checked(StoredModel, content)
    endpoint = endpoint_from_dict(stored.endpoint)
    _check_names(stored, endpoint)
    fusions = _fusions(stored, endpoint, tensors)
    baselines = {name: Baseline.from_dict(one) for name, one in stored.baselines.items()}
    n_bins = len(endpoint.outcomes) - 1
    if any(len(one.log_hazards) != n_bins for one in baselines.values()):
        raise ValueError("a baseline has another number of bins than the endpoint")
    model = FusedModel(
        endpoint,
        tuple(stored.experts),
        stored.label_maps,
        {task: np.array(values) for task, values in stored.frequency.items()},
        fusions,
        _sets(stored, endpoint),
        _fitted(tensors),
        baselines,
        {name: tuple(own) for name, own in stored.class_orders.items()},
    )
    _check_predictions(model)
    return model


def _check_names(stored: StoredModel, endpoint: Endpoint) -> None:
    tasks, experts = list(stored.fusions), set(stored.experts)
    if tasks != [task for task in endpoint.tasks if task in stored.fusions]:
        raise ValueError(
            f"'fusions' is of {', '.join(tasks)}, but the endpoint has {', '.join(endpoint.tasks)}"
        )
    if list(stored.frequency) != tasks:
        raise ValueError("'fusions' and 'frequency' are of different labels")
    if list(stored.label_maps) != stored.experts:
        raise ValueError("'label_maps' does not name the experts in their order")
    for where, named in (("baselines", stored.baselines), ("class_orders", stored.class_orders)):
        if not set(named) <= experts:
            raise ValueError(f"'{where}' names an expert that there is not")
    if not set(stored.conformal) <= set(tasks):
        raise ValueError("'conformal' has prediction sets of what is not predicted")
    for frequency in stored.frequency.values():
        _check_frequency(np.array(frequency), endpoint)


def _check_frequency(frequency: np.ndarray, endpoint: Endpoint) -> None:
    if endpoint.of_numbers:
        return  # nothing reads it
    if frequency.shape != (len(endpoint.outcomes),):
        raise ValueError("'frequency' has another number of outcomes than the endpoint")
    if not ((frequency >= 0) & (frequency <= 1)).all():
        raise ValueError("'frequency' must be between 0 and 1")


def _fusions(stored: StoredModel, endpoint: Endpoint, tensors: Tensors) -> dict[str, Fusion[Any]]:
    """The fusions, each with all of its numbers, and no number left over."""
    found: dict[str, Fusion[Any]] = {}
    used = {FITTED, EMPTY}
    for t, (task, part) in enumerate(stored.fusions.items()):
        own = {k.removeprefix(f"{t}/"): v for k, v in tensors.items() if k.startswith(f"{t}/")}
        fusion = restore(part, own)
        if fusion.name not in names_of(endpoint.kind):
            raise ValueError(f"the method '{fusion.name}' is not for {endpoint.kind}")
        if len(fusion.certificate_.experts) != len(stored.experts):
            raise ValueError("the certificate is of another number of experts")
        fusion.check_fitted(len(stored.experts), len(endpoint.outcomes))
        found[task] = fusion
        used |= {f"{t}/{name}" for name in _kept(fusion, own)}
    unknown = sorted(set(tensors) - used)
    if unknown:
        raise ValueError(f"nothing needs the numbers '{unknown[0]}'")
    return found


def _kept(fusion: Fusion[Any], given: Tensors) -> set[str]:
    """Which of the given numbers a fusion holds; files of schema 2 name some otherwise."""
    held = {id(array) for array in dump(fusion)[1].values()}
    return {name for name, array in given.items() if id(array) in held}


def _sets(
    stored: StoredModel, endpoint: Endpoint
) -> dict[str, PredictionSets | PredictionIntervals]:
    n_targets = len(endpoint.outcomes) if endpoint.of_numbers else None
    return {task: sets_from_dict(part, n_targets) for task, part in stored.conformal.items()}


def _fitted(tensors: Tensors) -> np.ndarray:
    found = tensors.get(FITTED, np.zeros(0, dtype=np.uint64))
    if found.dtype != np.uint64 or found.ndim != 1 or (found[1:] <= found[:-1]).any():
        raise ValueError("the digests of the fit rows are no increasing whole numbers")
    return found


def _check_predictions(model: FusedModel) -> None:
    """Predicts made-up samples."""
    with np.errstate(all="ignore"):
        found = model.combined(_made_up(model, made_up_presence(len(model.experts))))
    tables = [*found.predicted.values(), found.weights]
    if not all(np.isfinite(table).all() for table in tables) or (found.weights < 0).any():
        raise ValueError("its predictions are not finite")
    n_targets = len(model.endpoint.outcomes)
    if model.endpoint.of_numbers and (tables[0][:, n_targets:] <= 0).any():
        raise ValueError("it predicts variances of 0 or less")


def _made_up(model: FusedModel, shown: np.ndarray) -> Aligned:
    """Predictions of experts for samples that there are not.

    Args:
        model: The model.
        shown: Bool, (sample, expert). Who scores whom.
    """
    rng, shape = np.random.default_rng(0), (*shown.shape, len(model.endpoint.outcomes))
    values = {
        task: np.where(shown[:, :, None], rng.normal(size=shape), np.nan) for task in model.fusions
    }
    if not model.endpoint.of_numbers:
        return values
    (mean,) = values.values()
    return GaussianExperts(mean, np.full(shape, np.nan))  # the spread is what the model knows


def model_files(folder: str | Path) -> list[Path]:
    """The files of a model in a folder that ``load`` takes."""
    place = place_of(Path(folder), NAME)
    return [place / f"{NAME}.json", place / f"{NAME}.safetensors"]


def load(folder: str | Path) -> FusedModel:
    """Loads a model folder, or the output folder of ``fuse`` that holds one.

    Raises:
        InputError: There is no model, its files are damaged, or a newer pathfuse wrote it.
    """
    with read_model(Path(folder), NAME, SCHEMA, "model") as (content, tensors):
        model = restored(content, tensors)
    return replace(model, reference=_reference(Path(folder)))


def _reference(folder: Path) -> Reference | None:
    if not has_model(folder, REFERENCE):
        return None
    with read_model(folder, REFERENCE, REFERENCE_SCHEMA, "description of the fit rows") as parts:
        return Reference.from_parts(*parts)
