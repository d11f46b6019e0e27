"""One expert for all samples, chosen on the fit rows: what a lab does today."""

from collections.abc import Sequence

import numpy as np

from pathfuse.fusion.categorical.chains import first_present, preference, take_expert
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.layout import check_order
from pathfuse.types import LogProbs, Observed, Params, Weights


class BestExpert(CategoricalMethod):
    """The expert with the lowest NLL on the fit rows; where it is absent, the next best.

        q[n, c] = p[n, m*, c]        m* = argmin over m of  mean over n of nll[n, m]

    ``p[n, m, c]`` is expert m's probability of outcome c of sample n, (sample, expert, outcome);
    ``nll[n, m]`` its negative log-likelihood in nats, (sample, expert). An expert that did not
    score a sample is represented there by the next best that did.

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> logits = np.log([[[0.8, 0.2], [0.2, 0.8]], [[0.1, 0.9], [0.5, 0.5]]])
        >>> model = pathfuse.BestExpert().fit(logits, [0, 1])
        >>> model.weights(logits).tolist()
        [[1.0, 0.0], [1.0, 0.0]]
        >>> logits[0, 0] = np.nan
        >>> model.weights(logits).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    name = "best_expert"
    summary = "the expert with the lowest negative log-likelihood on the fit rows"
    richness = 0
    fits = False
    chooses = True

    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """See ``Fusion``: all experts in some order."""
        check_order(self.name, self.params_, n_experts)

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        return [{"order": preference(experts, observed)} for _ in settings]

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        return take_expert(experts, first_present(experts, params["order"]))

    def share(self, experts: Experts, params: Params) -> Weights:
        """One-hot."""
        return np.eye(len(params["order"]))[first_present(experts, params["order"])]
