"""A prior that holds sharpness where the fit rows are separable: a few pseudo-observations.

Where all fit rows are on their right side, the likelihood grows for ever with the sharpness, and a
ridge on its logarithm hardly resists. So ``PRIOR_ROWS`` further rows are added, spread over the fit
rows, whose truth is drawn from the mean of the experts' probabilities:

    penalty = (PRIOR_ROWS / n) * mean_n ( - sum_c p_n(c) log q_n(c) ),     p_n: mean over the
    experts present

It grows linearly in the sharpness, vanishes like 1/n, and is the conjugate prior of a softmax
regression (Diaconis and Ylvisaker, Annals of Statistics 7, 1979; pseudo-observations against
separation: Clogg et al., JASA 86, 1991).
"""

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.lanes import weighted
from pathfuse.fusion.categorical.experts import Experts

PRIOR_ROWS = 2.0
"""How many rows the prior counts as."""


def anchor_of(experts: Experts) -> Float[np.ndarray, "outcome sample"]:
    """The mean of the present experts' probabilities."""
    result = np.empty((experts.n_columns, experts.n_samples), dtype=experts.planes.dtype)
    for rows, block in experts.blocks():
        result[:, rows] = weighted(block.even_weights, block.prob_planes)
    return result
