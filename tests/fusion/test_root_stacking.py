"""A curve in place of a line: it helps where an expert's sureness means something else than its
log-odds say."""

import numpy as np
import pytest

import pathfuse
from pathfuse.fusion.categorical.experts import Experts


def bent(n, seed):
    """An expert whose sure predictions are right and whose others are upside down: no line can say
    that."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(scale=2.0, size=n)
    truth = rng.random(n) < 1 / (1 + np.exp(-np.where(np.abs(log_odds) > 2, log_odds, -log_odds)))
    logits = np.stack([np.zeros((n, 2)), np.stack([-log_odds / 2, log_odds / 2], axis=1)], axis=1)
    return logits, truth.astype(int)


def nll(model, logits, y):
    return -model.predict_log_proba(logits)[np.arange(len(y)), y].mean()


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_what_a_line_cannot(seed):
    fit, test = bent(2000, seed), bent(4000, 100 + seed)
    line, curve = (kind(C=1.0).fit(*fit) for kind in (pathfuse.Stacking, pathfuse.RootStacking))
    assert nll(curve, *test) < nll(line, *test) - 0.02


def test_features_are_the_centred_log_probabilities_and_the_roots():
    logits = np.log(np.array([[[0.25, 0.75], [np.nan, np.nan]]]))
    model = pathfuse.RootStacking()
    columns = model.features(Experts.from_logits(logits))[0]
    half = np.log(3) / 2
    np.testing.assert_allclose(columns[:4], [-half, half, 0.5, np.sqrt(0.75)])
    assert np.isnan(columns[4:]).all()
