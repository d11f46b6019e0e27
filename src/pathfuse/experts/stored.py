"""What a trained expert's files hold, and whether they fit one another: an expert that loads also
predicts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.errors import clipped, first_problem
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.registry import target_kind
from pathfuse.files.schema import Name, Names, Stored

if TYPE_CHECKING:
    from pathfuse.experts.fitted import Fitted

MAX_DIM = 1_000_000
Dim = Annotated[int, Field(ge=1, le=MAX_DIM)]
MAY_BE_INFINITE = ("feature_sd",)
"""Scales of which an infinite one leaves a column out."""


class StoredExpert(Stored):
    """``expert.json``, as ``assemble.about`` writes it."""

    format: int
    name: Name
    endpoint: dict[str, Any]
    outputs: Names
    recipe: dict[str, Any]
    dim: Dim
    views: Annotated[dict[str, Dim], Field(min_length=1)]
    granularity: str
    encoder: str | None
    serving: Names
    stamp: str


class StoredInputs(Stored):
    """Of ``Inputs``."""

    views: Annotated[dict[str, Dim], Field(min_length=1)]
    teachers: dict[str, Dim]
    single: bool

    def restored(self) -> Inputs:
        """The inputs."""
        return Inputs(self.views, self.teachers, self.single)


class StoredFitted(Stored):
    """What stands in the header of a model's file."""

    recipe: dict[str, Any]
    inputs: StoredInputs
    names: Names
    kind: str


def recipe_from(content: Mapping[str, Any]) -> TrainingRecipe:
    """A recipe that was written with all its values.

    Raises:
        ValueError: A name or value is not allowed.
    """
    try:
        return TrainingRecipe.read(dict(content))
    except ValidationError as error:
        raise ValueError(f"its recipe: {first_problem(error)}") from None


def check_expert(stored: StoredExpert) -> None:
    """Refuses an ``expert.json`` whose parts do not fit one another.

    Raises:
        ValueError: They do not.
    """
    target_kind(endpoint_from_dict(stored.endpoint).trained_as)
    if sum(stored.views.values()) != stored.dim:
        raise ValueError("'views' and 'dim' differ")


def check_fitted(fitted: "Fitted", stored: StoredExpert) -> None:
    """Refuses a model that is not of this expert, or could not predict.

    Raises:
        ValueError: It is damaged.
    """
    if tuple(stored.outputs) != fitted.names or stored.views != dict(fitted.inputs.views):
        raise ValueError("a model has other outputs or inputs than the expert")
    for name, array in fitted.weights.items():
        if not np.isfinite(array).all():
            raise ValueError(f"'{name}' holds NaN or infinity")
    for name, array in fitted.scales.items():
        good = ~np.isnan(array) if name in MAY_BE_INFINITE else np.isfinite(array)
        if not good.all():
            raise ValueError(f"'{name}' holds NaN or infinity")
    check = _check_pooled if fitted.recipe.facts.pooled else _check_networks
    try:
        check(fitted)
    except (RuntimeError, LookupError, TypeError, ArithmeticError) as error:
        raise ValueError(clipped(error)) from None


def _check_pooled(fitted: "Fitted") -> None:
    """Predicts made-up units."""
    from pathfuse.experts.apply import statistics_of
    from pathfuse.experts.pooled.make import make_model
    from pathfuse.experts.pooled.statistics import Standard

    model = make_model(fitted.recipe.facts)
    width = fitted.inputs.dim * len(statistics_of(model, fitted.inputs))
    standard = Standard(
        _of_length(fitted, "feature_mean", width),
        _of_length(fitted, "feature_sd", width),
        fitted.recipe.clip,
    )
    table = standard.apply(np.random.default_rng(0).normal(size=(3, width)))
    n_outputs = fitted.way.n_outputs(len(fitted.names))
    model.check(fitted.weights, width, n_outputs)
    outputs = model.predict(table, fitted.weights, fitted.way)
    if outputs.shape != (3, n_outputs):
        raise ValueError("it predicts another number of outputs")
    if not np.isfinite(fitted.way.in_own_unit(outputs, fitted.scales)).all():
        raise ValueError("its predictions are not finite")


def _check_networks(fitted: "Fitted") -> None:
    """Loads the weights into networks of the recipe."""
    import torch

    from pathfuse.experts.heads.make import make_head

    for weights in fitted.networks:
        with torch.device("meta"):
            head = make_head(fitted.recipe, fitted.inputs, len(fitted.names), fitted.way)
        shapes = {name: tuple(value.shape) for name, value in head.state_dict().items()}
        found = {name: value.shape for name, value in weights.items()}
        if found != shapes:
            wrong = min(set(found.items()) ^ set(shapes.items()))
            raise ValueError(f"the weights do not fit the network ('{wrong[0]}')")
    if "feature_mean" in fitted.scales:
        for name in ("feature_mean", "feature_sd"):
            _of_length(fitted, name, fitted.inputs.dim)
    n_outputs = fitted.way.n_outputs(len(fitted.names)) + fitted.way.n_shared(len(fitted.names))
    if not np.isfinite(fitted.way.in_own_unit(np.zeros((1, n_outputs)), fitted.scales)).all():
        raise ValueError("its scales are not finite")


def _of_length(fitted: "Fitted", name: str, length: int) -> np.ndarray:
    array = fitted.scales.get(name)
    if array is None or array.shape != (length,) or array.dtype.kind != "f":
        raise ValueError(f"'{name}' is not of length {length}")
    return array
