"""The methods, simple to rich. A new one is one file in its family's folder and one line here.

It is then fitted and evaluated in every run, listed by ``evaluate`` (if it needs no fit), by the
report and by the documentation, stored, and covered by the contract suite. Its class states
whether it votes in the council (``in_council``).
"""

from typing import Any

from pathfuse.fusion.categorical.best_expert import BestExpert
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.categorical.hazard_product import HazardProduct
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.mean_probability import MeanProbability
from pathfuse.fusion.categorical.median_logit import MedianLogit
from pathfuse.fusion.categorical.root_stacking import RootStacking
from pathfuse.fusion.categorical.stacking import Stacking
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.categorical.uniform_product import UniformProduct
from pathfuse.fusion.family import AnyFamily
from pathfuse.fusion.gaussian.best_expert import GaussianBestExpert
from pathfuse.fusion.gaussian.covariance_product import GaussianCovarianceProduct
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.gaussian.logitprod import GaussianLogitProd
from pathfuse.fusion.gaussian.mean_probability import GaussianMean
from pathfuse.fusion.gaussian.stacking import GaussianStacking
from pathfuse.fusion.gaussian.static_product import GaussianStaticProduct
from pathfuse.fusion.gaussian.uniform_product import GaussianUniformProduct
from pathfuse.fusion.method import AnyMethod

METHODS: tuple[type[AnyMethod], ...] = (
    BestExpert,
    MeanProbability,
    MedianLogit,
    UniformProduct,
    StaticProduct,
    LogitProd,
    Stacking,
    RootStacking,
    HazardProduct,
    GaussianBestExpert,
    GaussianMean,
    GaussianUniformProduct,
    GaussianStaticProduct,
    GaussianCovarianceProduct,
    GaussianLogitProd,
    GaussianStacking,
)


def family_of(endpoint: str) -> AnyFamily:
    """The kind of predictions that an endpoint's experts make."""
    return GAUSSIAN if endpoint in GAUSSIAN.endpoints else CATEGORICAL


def methods_of(endpoint: str) -> dict[str, type[AnyMethod]]:
    """The methods that an endpoint has, by name."""
    family = family_of(endpoint)
    return {
        method.name: method
        for method in METHODS
        if method.family is family and (not method.endpoints or endpoint in method.endpoints)
    }


def new_methods(seed: int, endpoint: str = "multiclass", **logitprod: Any) -> list[AnyMethod]:
    """One unfitted method of each kind; further options go to ``LogitProd``."""
    kinds = methods_of(endpoint).values()
    return [kind(seed=seed, **(logitprod if kind is LogitProd else {})) for kind in kinds]
