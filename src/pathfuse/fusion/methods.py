"""The fitted, simple to rich. A new pooling method is one file beside this one and one line here."""

from typing import Any

from pathfuse.fusion.categorical.best_expert import BestExpert
from pathfuse.fusion.categorical.hazard_product import HazardProduct
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.mean_probability import MeanProbability
from pathfuse.fusion.categorical.root_stacking import RootStacking
from pathfuse.fusion.categorical.stacking import Stacking
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.categorical.uniform_product import UniformProduct
from pathfuse.fusion.method import Method

CATEGORICAL: tuple[type[Method], ...] = (
    BestExpert,
    MeanProbability,
    UniformProduct,
    StaticProduct,
    LogitProd,
    Stacking,
    RootStacking,
    HazardProduct,
)


def categorical_methods(endpoint: str) -> dict[str, type[Method]]:
    """The methods that an endpoint has, by name."""
    return {method.name: method for method in CATEGORICAL if not method.endpoints or endpoint in method.endpoints}


def new_methods(seed: int, endpoint: str = "multiclass", **logitprod: Any) -> list[Method]:
    """One unfitted method of each kind; further options go to ``LogitProd``."""
    kinds = categorical_methods(endpoint).values()
    return [kind(seed=seed, **(logitprod if kind is LogitProd else {})) for kind in kinds]
