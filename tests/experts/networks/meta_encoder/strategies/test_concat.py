"""Concatenation without projection is the linear probe on all features."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402


@pytest.mark.parametrize("penalty", [0.5, 30.0])
def test_trained_to_convergence_it_is_ridge(penalty):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 22)) @ (np.eye(22) + rng.normal(size=(22, 22)) / 10)
    y = x @ rng.normal(size=(22, 3)) + rng.normal(size=(80, 3)) + 5
    encoder = MetaEncoder({"b": 12, "a": 10}, "concat", projection="identity").double()
    head = torch.nn.Linear(encoder.dim_out, 3).double()
    features, truth = torch.from_numpy(x), torch.from_numpy(y)
    solver = torch.optim.LBFGS(
        head.parameters(), max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def loss():
        solver.zero_grad()
        error = ((head(encoder(features).vector) - truth) ** 2).sum() / len(x)
        total = error + penalty / len(x) * head.weight.square().sum()
        total.backward()
        return total

    solver.step(loss)
    ridge = Ridge(alpha=penalty).fit(x, y)
    np.testing.assert_allclose(head.weight.detach(), ridge.coef_, atol=1e-3)
    np.testing.assert_allclose(head(encoder(features).vector).detach(), ridge.predict(x), atol=1e-3)
