"""The ladder, simple to rich. A new pooling method is one file beside this one and one line here."""

from pathfuse.fusion.best_expert import BestExpert
from pathfuse.fusion.logitprod import LogitProd
from pathfuse.fusion.mean_probability import MeanProbability
from pathfuse.fusion.rung import Rung
from pathfuse.fusion.stacking import Stacking
from pathfuse.fusion.static_product import StaticProduct
from pathfuse.fusion.uniform_product import UniformProduct

RUNGS: dict[str, type[Rung]] = {
    rung.name: rung for rung in (BestExpert, MeanProbability, UniformProduct, StaticProduct, LogitProd, Stacking)
}


def new_rungs(seed: int) -> list[Rung]:
    """One unfitted rung of each kind."""
    return [rung(seed=seed) for rung in RUNGS.values()]
