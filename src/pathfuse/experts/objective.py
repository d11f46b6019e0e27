"""What training minimises: the negative log-likelihood of the endpoint, as in judging.

See docs/design/fusion.md, section 1.
"""

import torch
from torch import Tensor
from torch.nn import functional


def sample_loss(kind: str, outputs: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Loss of each sample.

    Multiclass and survival: minus the log-probability of the set of outcomes that the truth allows,
    so that a case censored inside a bin says that the event came later. Multilabel: mean binary
    cross-entropy of the known labels.
    Regression: half the mean squared error of the known targets. Poisson: mean over the known
        counts of the negative log-likelihood, less its constant; outputs are logarithms of the
        mean.

    Args:
        kind: Of the endpoint, or ``poisson``.
        outputs: Float, (sample, output).
        values: Float, (sample, column), see ``Targets``; regression targets standardised.
        known: Bool, (sample, column).

    Returns:
        Float, (sample,).
    """
    if kind == "multilabel":
        each = functional.binary_cross_entropy_with_logits(outputs, values, reduction="none")
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    if kind == "regression":
        return 0.5 * ((outputs - values) ** 2 * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    if kind == "poisson":
        each = functional.poisson_nll_loss(outputs, values, log_input=True, reduction="none")
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    log_prob = outputs.log_softmax(dim=1) if kind == "multiclass" else log_events(outputs)
    return -torch.logsumexp(log_prob + torch.log(values), dim=1)


def log_events(hazard_logit: Tensor) -> Tensor:
    """Log-probabilities of an event in each bin, and of none: ``p_t = S_{t-1} h_t``, tail ``S_T``.

    Args:
        hazard_logit: Float, (sample, bin).
    """
    log_survival = torch.cumsum(functional.logsigmoid(-hazard_logit), dim=1)
    before = functional.pad(log_survival[:, :-1], (1, 0))
    return torch.cat([before + functional.logsigmoid(hazard_logit), log_survival[:, -1:]], dim=1)
