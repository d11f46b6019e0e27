"""The ladder, simple to rich. A new pooling method is one file beside this one and one line here."""

from typing import Any

from pathfuse.fusion.best_expert import BestExpert
from pathfuse.fusion.hazard_product import HazardProduct
from pathfuse.fusion.logitprod import LogitProd
from pathfuse.fusion.mean_probability import MeanProbability
from pathfuse.fusion.root_stacking import RootStacking
from pathfuse.fusion.rung import Rung
from pathfuse.fusion.stacking import Stacking
from pathfuse.fusion.static_product import StaticProduct
from pathfuse.fusion.uniform_product import UniformProduct

CATEGORICAL: tuple[type[Rung], ...] = (
    BestExpert,
    MeanProbability,
    UniformProduct,
    StaticProduct,
    LogitProd,
    Stacking,
    RootStacking,
    HazardProduct,
)


def rungs_of(endpoint: str) -> dict[str, type[Rung]]:
    """The rungs that an endpoint has, by name."""
    return {rung.name: rung for rung in CATEGORICAL if not rung.endpoints or endpoint in rung.endpoints}


def new_rungs(seed: int, endpoint: str = "multiclass", **logitprod: Any) -> list[Rung]:
    """One unfitted rung of each kind; further options go to ``LogitProd``."""
    kinds = rungs_of(endpoint).values()
    return [kind(seed=seed, **(logitprod if kind is LogitProd else {})) for kind in kinds]
