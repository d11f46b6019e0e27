"""The published recipe: its numbers, and what each of its quirks does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import floor_log_prob, log_softmax, set_nll
from pathfuse.errors import InputError
from pathfuse.fusion.categorical import published, published_recipe
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logitprod import LogitProd, error_correlation
from pathfuse.fusion.categorical.published import train, validation_part
from pathfuse.fusion.categorical.published_objective import (
    Gates,
    Objective,
    TrainingRows,
    bin_concordance,
    loss_correlation,
    loss_shares,
    published_features,
)
from pathfuse.fusion.categorical.published_recipe import (
    QUIRKS,
    RECIPES,
    PublishedRecipe,
    learning_rate,
)
from pathfuse.fusion.store import dump, restore

torch = pytest.importorskip("torch")

LATER, TAIL, DEAD = (
    [False, False, True, True],
    [False, False, False, True],
    [False, True, False, False],
)


def experts_of(n=80, m=3, k=3, seed=0, missing=0.0):
    """Experts of different skill: the first sees much, the last nearly nothing."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    logits = rng.normal(size=(n, m, k)) + np.linspace(3.0, 0.2, m)[:, None] * np.eye(k)[y][:, None]
    gone = rng.random((n, m)) < missing
    gone[:, 0] = False
    logits[gone] = np.nan
    return Experts.from_logits(logits), np.eye(k, dtype=bool)[y], logits


def survival_of(n=80, m=3, t=3, seed=0):
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    hazard = (
        risk[:, None, None] * np.linspace(1.5, 0.1, m)[:, None] + rng.normal(size=(n, m, t)) - 0.5
    )
    log_prob = floor_log_prob(event_distribution(hazard.reshape(n * m, t))).reshape(n, m, t + 1)
    place = np.clip(np.argsort(np.argsort(-risk + 0.5 * rng.normal(size=n))) * (t + 1) // n, 0, t)
    outcome, censored = np.arange(t + 1), rng.random(n) < 0.4
    observed = np.where(
        censored[:, None], outcome > np.minimum(place, t - 1)[:, None], outcome == place[:, None]
    )
    return Experts(log_prob, np.ones((n, m), dtype=bool)), observed


def objective_of(experts, observed, recipe, quirks=()):
    loss = np.stack(
        [set_nll(experts.log_prob[:, m], observed) for m in range(experts.shape[1])], axis=1
    )
    correlation = torch.from_numpy(loss_correlation(loss, experts.present))
    part = TrainingRows.of(experts, observed, RECIPES[recipe])
    return Objective(RECIPES[recipe], frozenset(quirks), correlation), part


def random_gates(n_gates, m, n_features, seed=0, size=0.3):
    gates, rng = Gates(n_gates, m, n_features), np.random.default_rng(seed)
    with torch.no_grad():
        gates.gate += torch.from_numpy(rng.normal(size=(n_gates, m, n_features)) * size)
        gates.bias += torch.from_numpy(rng.normal(size=(n_gates, m)) * size)
    return gates


def slopes(gates, loss):
    return torch.autograd.grad(loss, [gates.gate, gates.bias])


# The recipe


def test_rates_restart_where_they_should():
    rates = [learning_rate(RECIPES["classification"], epoch) for epoch in range(1, 601)]
    assert [e for e in range(2, 601) if rates[e - 1] > rates[e - 2]] == [11, 31, 71, 151, 311]
    assert [rates[e - 1] for e in (1, 11, 31, 71, 151, 311)] == [1e-5] * 6
    assert np.mean(rates) == pytest.approx(5.8e-6, abs=5e-8)


@pytest.mark.parametrize("name", RECIPES)
def test_rates_are_torchs_own_warm_restarts(name):
    recipe = RECIPES[name]
    adam = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        adam, 10, 2, eta_min=recipe.lowest_rate
    )
    for epoch in range(1, 81):
        assert learning_rate(recipe, epoch) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        adam.step()
        schedule.step()


def test_the_tile_rate_rises():
    assert learning_rate(RECIPES["tile"], 10) > learning_rate(RECIPES["tile"], 1)


@pytest.mark.parametrize("k", [2, 3])
def test_a_gate_of_zeros_weighs_equally(k):
    _, observed, logits = experts_of(k=k)
    fusion = LogitProd(variant="published", epochs=0).fit(logits, observed)
    np.testing.assert_array_equal(fusion.weights(logits), np.full((80, 3), 1 / 3))


def test_two_classes_have_all_3m_plus_2_features_while_training():
    experts, _, _ = experts_of(k=2)
    features = published_features(experts)
    assert features.shape == (80, 3 * 3 + 2)
    prob = np.exp(experts.log_prob)
    np.testing.assert_allclose(features[:, 3:6], np.abs(prob[:, :, 0] - prob[:, :, 1]), atol=1e-12)


@pytest.mark.parametrize(("k", "missing"), [(2, 0.0), (2, 0.3), (3, 0.3)])
def test_stored_gates_weigh_as_trained_ones(k, missing):
    experts, observed, _ = experts_of(k=k, missing=missing)
    part, gates = (
        TrainingRows.of(experts, observed, RECIPES["classification"]),
        random_gates(1, 3, 11),
    )
    params = published.as_params(*gates.state(), k)
    expected = gates.weights(part)[:, 0].detach().numpy()
    np.testing.assert_allclose(LogitProd().share(experts, params), expected, atol=1e-12)


def test_stored_bin_gates_pool_as_trained_ones():
    experts, observed = survival_of()
    objective, part = objective_of(experts, observed, "survival")
    gates = random_gates(4, 3, 11)
    pooled = objective.pooled(gates.weights(part), part).detach().numpy()
    np.testing.assert_allclose(
        LogitProd().pool(experts, published.as_params(*gates.state(), 4)), pooled, atol=1e-12
    )


def test_the_correlation_is_what_its_steps_come_to():
    """0.9 * max(corr, 0) off the diagonal, 0 on it; not positive semi-definite (defect 8)."""
    experts, observed, _ = experts_of(m=5)
    loss = np.stack([set_nll(experts.log_prob[:, m], observed) for m in range(5)], axis=1)
    found = loss_correlation(loss, experts.present)
    expected = 0.9 * np.maximum(np.corrcoef(loss.T), 0) * (1 - np.eye(5))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(found, error_correlation(experts, observed), atol=1e-9)
    assert np.linalg.eigvalsh(found)[0] < 0


def test_one_hot_weights_cost_no_penalty():
    objective, part = objective_of(*experts_of()[:2], "classification")
    gates = Gates(1, 3, 11)
    equal = objective.penalty(gates.weights(part)).item()
    with torch.no_grad():
        gates.bias[0, 2] = 1000.0
    assert equal > 0
    assert objective.penalty(gates.weights(part)).item() == 0


def test_the_validation_part_is_a_stratified_fifth():
    observed = np.eye(3, dtype=bool)[np.repeat([0, 1, 2], [50, 30, 20])]
    fit, held_out = validation_part(observed, seed=3)
    assert sorted([*fit, *held_out]) == list(range(100))
    assert observed[held_out].sum(axis=0).tolist() == [10, 6, 4]
    assert not np.array_equal(held_out, validation_part(observed, seed=4)[1])


# Survival


def test_survival_loss_is_u_plus_06_v():
    """By hand: an event in bin 2 costs -log(S_1 h_2), censoring in bin 2 costs -0.6 log S_2."""
    hazard = np.array([0.1, 0.2, 0.3])
    log_prob = event_distribution(np.log(hazard / (1 - hazard))[None])[:, None].repeat(3, axis=0)
    observed = np.array([DEAD, LATER, TAIL])
    experts = Experts(log_prob, np.ones((3, 1), dtype=bool))
    objective, part = objective_of(experts, observed, "survival")
    u, v_2, v_3 = -np.log(0.9 * 0.2), -np.log(0.9 * 0.8), -np.log(0.9 * 0.8 * 0.7)
    loss = objective.task(Gates(4, 1, 5).weights(part), part).item()
    assert loss == pytest.approx((u + 0.6 * v_2 + 0.6 * v_3) / 3, abs=1e-6)


def test_half_censoring_is_censoring():
    observed = np.array([[0, 0.5, 1, 1], [0, 0, 0.5, 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert loss_shares(observed, RECIPES["survival"]).tolist() == [0.6, 0.6, 1.0, 0.6]


def test_concordance_of_bins_by_hand():
    observed = np.array([[True, False, False, False], DEAD, LATER, TAIL])
    assert bin_concordance(np.array([4.0, 3.0, 2.0, 1.0]), observed) == 1
    assert bin_concordance(np.array([1.0, 2.0, 3.0, 4.0]), observed) == 0
    assert bin_concordance(np.zeros(4), observed) == 0.5
    assert bin_concordance(np.array([4.0, 2.0, 3.0, 1.0]), observed) == pytest.approx(
        4 / 5
    )  # 3 + 2 pairs, 1 wrong
    assert np.isnan(bin_concordance(np.zeros(2), np.array([TAIL, LATER])))


def test_the_survival_loss_reaches_every_gate():
    experts, observed = survival_of()
    objective, part = objective_of(experts, observed, "survival")
    gates = Gates(4, 3, 11)
    gate, bias = slopes(gates, objective.task(gates.weights(part), part))
    assert (bias.abs().max(dim=1).values > 1e-4).all()
    assert (gate.abs().amax(dim=(1, 2)) > 1e-4).all()


def test_quirk_no_survival_gradient_leaves_the_penalty_alone():
    experts, observed = survival_of()
    objective, part = objective_of(experts, observed, "survival", ["no_survival_gradient"])
    repaired, _ = objective_of(experts, observed, "survival")
    gates = random_gates(4, 3, 11)
    weights = gates.weights(part)
    whole = slopes(gates, objective.task(weights, part) + objective.penalty(weights))
    alone = slopes(gates, objective.penalty(gates.weights(part)))
    assert all(torch.equal(a, b) for a, b in zip(whole, alone, strict=True))
    assert (
        objective.task(weights, part).item() == repaired.task(weights, part).item()
    )  # same value, no gradient
    weights = gates.weights(part)
    both = slopes(gates, repaired.task(weights, part) + repaired.penalty(weights))
    assert not torch.allclose(both[1], alone[1], atol=1e-4)


# The other quirks


def test_quirk_unnormalised_mutation_is_a_sum_of_the_experts_losses():
    experts, observed, _ = experts_of(k=2)
    objective, part = objective_of(experts, observed, "mutation", ["unnormalised_mutation"])
    weights = random_gates(1, 3, 11).weights(part)
    loss = np.stack([set_nll(experts.log_prob[:, m], observed) for m in range(3)], axis=1)
    expected = (weights[:, 0].detach().numpy() * loss).sum(axis=1).mean()
    assert objective.task(weights, part).item() == pytest.approx(expected, abs=1e-12)
    repaired, _ = objective_of(experts, observed, "mutation")
    assert (
        repaired.task(weights, part).item() < expected - 0.01
    )  # Jensen: normalising is worth something


def test_quirk_last_epoch_returns_the_last_where_the_default_returns_the_best(monkeypatch):
    """Labels of the validation rows are turned round, so that training makes them worse from the
    first epoch on."""
    monkeypatch.setitem(
        published_recipe.RECIPES, "classification", PublishedRecipe(rate=1e-2, patience=4)
    )
    experts, observed, _ = experts_of(n=100)
    held_out = validation_part(observed, 0)[1]
    monkeypatch.setattr(
        published, "validation_part", lambda *_: (np.setdiff1d(np.arange(100), held_out), held_out)
    )
    observed[held_out] = observed[held_out][:, [1, 2, 0]]
    best = train(experts, observed, "classification", (), 0)
    last = train(experts, observed, "classification", ("last_epoch",), 0)
    assert best.validation == last.validation
    assert (best.epoch, last.epoch) == (1, 5)  # patience 4
    assert best.epoch == 1 + int(np.argmin(best.validation))
    first = train(experts, observed, "classification", (), 0, epochs=1)
    np.testing.assert_array_equal(
        best.gate, first.gate
    )  # a real copy, untouched by the epochs after it
    assert np.abs(last.bias).max() > 2 * np.abs(best.bias).max()


def test_quirk_dropped_rows_trains_nothing_below_16_rows():
    experts, observed, logits = experts_of(n=18)  # 14 or 15 of them are for training
    quirky = LogitProd(variant="published", quirks=("dropped_rows",), epochs=3).fit(
        logits, observed
    )
    np.testing.assert_array_equal(quirky.weights(logits), np.full((18, 3), 1 / 3))
    assert train(experts, observed, "classification", ("dropped_rows",), 0, 3).validation == (
        0.0,
        0.0,
        0.0,
    )
    assert (
        np.ptp(LogitProd(variant="published", epochs=3).fit(logits, observed).weights(logits)) > 0
    )


def test_quirk_dropped_rows_forgets_up_to_15_rows_of_each_part():
    experts, observed, _ = experts_of(n=100)
    part, rng = (
        TrainingRows.of(experts, observed, RECIPES["classification"]),
        np.random.default_rng(0),
    )
    assert [len(b) for b in published.batches(part, rng, drop=False)] == [16] * 6 + [4]
    assert [len(b) for b in published.batches(part, rng, drop=True)] == [16] * 6


def test_quirk_dropped_rows_freezes_the_choice_at_epoch_1_below_16_validation_rows():
    experts, observed, _ = experts_of(n=60)
    assert train(experts, observed, "classification", ("dropped_rows",), 0, 4).epoch == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quirks": ("typo",)}, "quirk 'typo' is unknown"),
        (
            {"quirks": ("no_survival_gradient",)},
            "belongs to the recipe survival, not to 'classification'",
        ),
        ({"quirks": ("dropped_rows",), "recipe": "survival"}, "not to 'survival'"),
        ({"recipe": "wsi"}, "recipe 'wsi' is unknown"),
        ({"variant": "original"}, "variant 'original' is unknown"),
        ({"variant": "default", "quirks": ("last_epoch",)}, "variant='published'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    _, observed, logits = experts_of()
    with pytest.raises(InputError, match=message):
        LogitProd(**{"variant": "published", "epochs": 1, **options}).fit(logits, observed)


def test_every_quirk_is_explained():
    text = Path(published_recipe.__file__).read_text()
    assert all(f"``{quirk}`` (defect" in text for quirk in QUIRKS)


# Fits


@pytest.mark.slow
def test_a_fit_moves_towards_the_better_expert():
    experts, observed, logits = experts_of(n=400)
    fusion = LogitProd(variant="published", epochs=20).fit(logits, observed)
    weights = fusion.weights(logits).mean(axis=0)
    assert weights[0] > 1 / 3 + 1e-4 > 1 / 3 > weights[2]
    assert (
        fusion.certificate_.fused
        < set_nll(log_softmax(experts.log_prob.mean(axis=1)), observed).mean()
    )


@pytest.mark.slow
def test_a_survival_fit_moves():
    experts, observed = survival_of(n=120)
    fusion = LogitProd(variant="published", recipe="survival", epochs=15)
    fusion.fit_experts(experts, observed, np.arange(120))
    assert fusion.params_["gate"].shape == (4, 3, 11)
    assert fusion.weigh(experts).mean(axis=0)[0] > 1 / 3
    assert np.ptp(fusion.params_["bias"]) > 1e-5


@pytest.mark.parametrize("recipe", ["classification", "mutation", "tile"])
def test_the_same_seed_gives_the_same_bytes(recipe):
    _, observed, logits = experts_of(k=2)
    torch.manual_seed(1)
    one = LogitProd(variant="published", recipe=recipe, epochs=3, seed=5).fit(logits, observed)
    torch.manual_seed(2)
    other = clone(one).fit(logits, observed)
    third = LogitProd(variant="published", recipe=recipe, epochs=3, seed=6).fit(logits, observed)
    assert np.array_equal(one.predict_log_proba(logits), other.predict_log_proba(logits))
    assert not np.array_equal(one.params_["gate"], third.params_["gate"])


@pytest.mark.parametrize("k", [2, 3])
def test_store_round_trip(k):
    _, observed, logits = experts_of(k=k, missing=0.2)
    fusion = LogitProd(variant="published", epochs=2).fit(logits, observed)
    again = restore(*dump(fusion))
    assert np.array_equal(again.predict_log_proba(logits), fusion.predict_log_proba(logits))
    assert np.array_equal(again.weights(logits), fusion.weights(logits))
    assert np.all(fusion.weights(logits)[np.isnan(logits[:, :, 0])] == 0)
    assert (fusion.params_["feature_mean"] == 0).all()
    assert (fusion.params_["feature_scale"] == 1).all()
    assert fusion.params_["log_sharpness"] == 0


@pytest.mark.slow
def test_the_certificate_never_rewrites_a_published_fit():
    """One expert is far better, which tiny steps cannot reach: the guarantee does not hold, and
    says so."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    logits = (
        rng.normal(size=(60, 3, 3)) * 4
        + np.array([12.0, -8.0, -8.0])[:, None] * np.eye(3)[y][:, None]
    )
    fusion = LogitProd(variant="published", epochs=2).fit(logits, y)
    assert not fusion.certificate_.holds
    assert fusion.certificate_.fallback is None
    assert fusion.weights(logits).max() < 0.4
    assert LogitProd().fit(logits, y).certificate_.holds


def test_too_few_rows_are_refused():
    _, observed, logits = experts_of(n=4, k=2)
    with pytest.raises(InputError, match="at least 5 fit rows, not 4"):
        LogitProd(variant="published").fit(logits, observed)


@pytest.mark.slow
def test_without_torch_the_default_runs_and_the_published_variant_says_what_to_install():
    code = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTorch())
import numpy as np
from pathfuse import InputError, LogitProd
rng = np.random.default_rng(0)
logits, y = rng.normal(size=(40, 2, 3)), np.arange(40) % 3
LogitProd().fit(logits, y)
try:
    LogitProd(variant="published").fit(logits, y)
except InputError as error:
    assert "pip install 'pathfuse[torch]'" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)
