"""Stacking that also reads root probabilities: a curve in place of a line.

Log-probabilities distinguish degrees of "almost impossible", which hardly matter; root
probabilities distinguish "perhaps" from "surely". With both, the regression may trust an expert
differently when it is sure.
"""

import numpy as np
from jaxtyping import Float

from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.stacking import Stacking, centred

ROOT_CS = (0.001, 0.01, 0.1, 0.3, 1.0, 3.0)
"""Candidate inverse penalties: coarser than those of ``Stacking``, since twice the columns take
twice the time."""


class RootStacking(Stacking):
    """Ridge softmax regression on centred log-probabilities and root probabilities.

        log q[n, c] = a[c] + Σ_j W[c, j] z[n, j]  -  log Z[n]
        z[n] = standardised  (log p[n, m, k] - mean over k of log p[n, m, k],  √p[n, m, k])

    Two columns per expert m and outcome k: ``z`` is (sample, 2 x expert x outcome). Otherwise as
    ``Stacking``.

    References:
        Wolpert (1992).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(60) % 3
        >>> logits = np.random.default_rng(0).normal(size=(60, 4, 3))  # samples, experts, classes
        >>> logits[np.arange(60), :, y] += 1.5
        >>> pathfuse.RootStacking(C=0.1).fit(logits, y).predict(logits)[:3]
        array([0, 1, 2])
    """

    name = "root_stacking"
    summary = "ridge regression on all experts' log-probabilities and root probabilities"

    def columns_per_expert(self, n_outcomes: int) -> int:
        """See ``Stacking``."""
        return 2 * n_outcomes

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Inverse penalties."""
        return ROOT_CS if self.C is None else (self.C,)

    def columns(self, experts: Experts) -> Float[np.ndarray, "expert column sample"]:
        """See ``Stacking``; twice as many columns."""
        return np.concatenate([centred(experts), np.sqrt(experts.prob_planes)], axis=1)
