"""What others do with the same predictions: each takes the experts on the fit rows and predicts.

Weighted means and greedy selection know observed sets, and so survival; what is scikit-learn's
needs one class per sample.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GroupKFold

from pathfuse.calibration.temperature import at_temperature, best_temperature
from pathfuse.distributions.likelihood import floor_log_prob, set_nll
from pathfuse.fusion.categorical.experts import Experts

Predict = Callable[[Experts], np.ndarray]
"""From experts to fused log-probabilities, (sample, outcome)."""
Rival = Callable[[Experts, np.ndarray, np.ndarray], Predict]
"""From the experts of the fit rows, their observed sets and their patients."""
ROUNDS = 50
"""Experts that greedy selection takes, with repeats."""


def _mean(log_prob: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Log of the weighted mean of probabilities; weights (sample, expert)."""
    share = weights / weights.sum(axis=1, keepdims=True)
    return np.asarray(floor_log_prob(logsumexp(log_prob, axis=1, b=share[:, :, None])))


def soft_voting(experts: Experts, observed: np.ndarray, groups: np.ndarray) -> Predict:
    """scikit-learn's ``VotingClassifier(voting="soft")``: the mean of the probabilities."""
    return lambda new: _mean(new.log_prob, new.present.astype(float))


def temperature_mean(experts: Experts, observed: np.ndarray, groups: np.ndarray) -> Predict:
    """Each expert at its own best temperature, then the mean (Guo et al. 2017, per expert)."""
    found = [
        best_temperature(experts.log_prob[rows, m], observed[rows])
        for m, rows in enumerate(experts.present.T)
    ]

    def predict(new: Experts) -> np.ndarray:
        warm = [at_temperature(new.log_prob[:, m], t) for m, t in enumerate(found)]
        return _mean(np.stack(warm, axis=1), new.present.astype(float))

    return predict


def greedy_selection(experts: Experts, observed: np.ndarray, groups: np.ndarray) -> Predict:
    """Ensemble selection with replacement (Caruana et al. 2004): the expert whose addition to the
    mean lowers the NLL of the fit rows most, ``ROUNDS`` times.
    """
    n_experts = experts.shape[1]
    chosen = np.zeros(n_experts)
    for _ in range(ROUNDS):
        losses = []
        for m in range(n_experts):
            weights = (chosen + (np.arange(n_experts) == m)) * experts.present
            absent = weights.sum(axis=1) == 0
            weights[absent] = experts.present[absent]
            losses.append(float(set_nll(_mean(experts.log_prob, weights), observed).mean()))
        chosen[int(np.argmin(losses))] += 1

    def predict(new: Experts) -> np.ndarray:
        weights = chosen * new.present
        absent = weights.sum(axis=1) == 0
        weights[absent] = new.present[absent]
        return _mean(new.log_prob, weights)

    return predict


def _columns(experts: Experts, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """One row of numbers per sample; an absent expert says the mean of the others."""
    present = experts.present[:, :, None]
    mean = (experts.log_prob * present).sum(axis=1) / present.sum(axis=1)
    filled = np.where(present, experts.log_prob, mean[:, None])
    return of(filled).reshape(len(filled), -1)


def stacking(experts: Experts, observed: np.ndarray, groups: np.ndarray) -> Predict:
    """scikit-learn's ``StackingClassifier`` on predictions that are held out already: its default
    last model, logistic regression, on the probabilities.
    """
    model = LogisticRegression(max_iter=3000)
    model.fit(_columns(experts, np.exp), observed.argmax(axis=1))
    return lambda new: floor_log_prob(model.predict_log_proba(_columns(new, np.exp)))


def logistic_cv(experts: Experts, observed: np.ndarray, groups: np.ndarray) -> Predict:
    """``LogisticRegressionCV`` on all log-probabilities, its strength by five folds of patients."""
    label, columns = observed.argmax(axis=1), _columns(experts, np.asarray)
    folds = list(GroupKFold(min(5, len(np.unique(groups)))).split(columns, label, groups))
    kept = [fold for fold in folds if len(np.unique(label[fold[0]])) == observed.shape[1]]
    if kept:
        model = LogisticRegressionCV(
            Cs=np.logspace(-4, 1, 6), cv=kept, scoring="neg_log_loss", max_iter=3000
        )
    else:  # a class of one patient
        model = LogisticRegression(max_iter=3000)
    model.fit(columns, label)
    return lambda new: floor_log_prob(model.predict_log_proba(_columns(new, np.asarray)))


OF_SETS: Mapping[str, Rival] = {
    "soft voting": soft_voting,
    "temperature and mean": temperature_mean,
    "greedy selection": greedy_selection,
}
OF_CLASSES: Mapping[str, Rival] = {
    "stacking (scikit-learn)": stacking,
    "LogisticRegressionCV": logistic_cv,
}
