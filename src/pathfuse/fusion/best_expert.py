"""One expert for all samples, chosen on the fit rows: what a lab does today."""

from collections.abc import Sequence

import numpy as np

from pathfuse.fusion.certificate import first_present, preference, take_expert
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.rung import Rung
from pathfuse.types import LogProbs, Observed, Params, Weights


class BestExpert(Rung):
    """The expert with the lowest NLL on the fit rows; where it is absent, the next best that scored the sample."""

    name = "best_expert"

    def fit_path(self, experts: Experts, observed: Observed, settings: Sequence[float]) -> list[Params]:
        """See ``Rung``."""
        return [{"order": preference(experts, observed)} for _ in settings]

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Rung``."""
        return take_expert(experts, first_present(experts, params["order"]))

    def share(self, experts: Experts, params: Params) -> Weights:
        """One-hot."""
        return np.eye(len(params["order"]))[first_present(experts, params["order"])]
