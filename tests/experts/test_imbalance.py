"""Rare outcomes that weigh more in training leave probabilities as they are in the cohort."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.batches import BagReader  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402
from pathfuse.experts.imbalance import emphasis_of  # noqa: E402
from pathfuse.experts.parts import ExpertSetup, prepare  # noqa: E402
from pathfuse.experts.predicting import predict  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.targets.table import Targets  # noqa: E402
from pathfuse.experts.training import mean_loss, train  # noqa: E402
from pathfuse.experts.work import Work  # noqa: E402

N = 20
WAYS = [
    {"class_weights": True},
    {"balanced_sampling": True},
    {"focal": 2.0},
    {"class_weights": True, "focal": 1.0},
    {"balanced_sampling": True, "focal": 0.5},
]
SLOW = {
    "epochs": 250,
    "patience": 250,
    "batch": 20,
    "learning_rate": 0.05,
    "dropout": 0.0,
    "weight_decay": 0.0,
}


def work_of(memory_folder, targets):
    """Features that say nothing, so that the best prediction is the frequency."""
    bags = {f"s{k:02d}": np.zeros((1, 2)) for k in range(N)}
    units = [Unit(k, (f"s{k:02d}",)) for k in range(N)]
    return Work(BagReader(memory_folder(bags), 1), units, units, targets)


def predicted(work, recipe):
    trained = train(work, recipe, 0)
    return trained, predict(
        trained.head, work.reader, work.fitted, recipe, way=work.targets.way
    ).outputs


@pytest.mark.parametrize("chosen", WAYS, ids=str)
def test_classes_are_predicted_as_often_as_they_are(memory_folder, chosen):
    label = np.array([0] * 12 + [1] * 6 + [2] * 2)
    targets = Targets("multiclass", ("a", "b", "c"), np.eye(3)[label], np.ones((N, 1), dtype=bool))
    work, recipe = work_of(memory_folder, targets), TrainingRecipe.of("mean_pool", **SLOW, **chosen)
    trained, outputs = predicted(work, recipe)
    prob = torch.from_numpy(outputs).softmax(dim=1).numpy()
    exact = 0.08 if "balanced_sampling" in chosen else 0.01  # draws differ from epoch to epoch
    np.testing.assert_allclose(prob[0], [0.6, 0.3, 0.1], atol=exact)
    nll = -np.log(prob[np.arange(N), label]).mean()  # what validation sees
    assert mean_loss(trained.head, work, work.fitted, recipe, "cpu") == pytest.approx(nll, rel=1e-4)


@pytest.mark.parametrize("chosen", WAYS, ids=str)
def test_labels_are_predicted_as_often_as_they_are(memory_folder, chosen):
    values = np.zeros((N, 2))
    values[:2, 0], values[:10:2, 1] = 1, 1
    known = np.ones((N, 2), dtype=bool)
    known[1::2, 1] = False
    work = work_of(memory_folder, Targets("multilabel", ("x", "y"), values, known))
    _, outputs = predicted(work, TrainingRecipe.of("mean_pool", **SLOW, **chosen))
    prob = 1 / (1 + np.exp(-outputs[0]))
    exact = 0.1 if "balanced_sampling" in chosen else 0.01
    np.testing.assert_allclose(prob, [0.1, 0.5], atol=exact)


def test_events_are_drawn_more_often(memory_folder):
    values = np.ones((N, 3))
    values[:2] = [1, 0, 0]
    targets = Targets("survival", ("1", "2"), values, np.ones((N, 1), dtype=bool))
    recipe = TrainingRecipe.of("mean_pool", balanced_sampling=True)
    found = emphasis_of(targets, targets.way, np.arange(N), recipe)
    assert found.chance[:2].sum() == pytest.approx(0.5)
    assert found.weights is None


def test_nothing_but_the_fitted_rows_is_looked_at():
    rng = np.random.default_rng(0)
    rows = np.arange(12)
    known = np.ones((N, 1), dtype=bool)
    one, other = np.eye(3)[rng.integers(0, 3, (2, N))]
    other[rows] = one[rows]
    for chosen in ({"class_weights": True}, {"balanced_sampling": True}):
        recipe = TrainingRecipe.of("mean_pool", **chosen)
        found = [
            emphasis_of(Targets("multiclass", tuple("abc"), values, known), way, rows, recipe)
            for values in (one, other)
            for way in [Targets("multiclass", tuple("abc"), values, known).way]
        ]
        for name in ("weights", "chance", "offset"):
            first, second = (getattr(part, name) for part in found)
            assert (first is None) == (second is None)
            if first is not None:
                np.testing.assert_array_equal(first, second)


def test_what_a_recipe_refuses():
    with pytest.raises(InputError, match="'focal': is for a trained head; a pooled head has none"):
        TrainingRecipe.of("pooled_forest", focal=2)
    with pytest.raises(InputError, match="'class_weights': is for a trained head"):
        TrainingRecipe.of("linear_probe", class_weights=True)
    with pytest.raises(InputError, match="does what class_weights does; choose one"):
        TrainingRecipe.of("abmil", class_weights=True, balanced_sampling=True)
    with pytest.raises(InputError, match="'focal'"):
        TrainingRecipe.of("abmil", focal=-1)


@pytest.mark.parametrize(
    ("columns", "chosen", "sentence"),
    [
        (
            {"target_x": [1.0, 2.0]},
            {"focal": 2.0},
            "focal means nothing for the endpoint regression$",
        ),
        (
            {"time": [1.0, 2.0], "event": [0, 1]},
            {"class_weights": True},
            "class_weights means nothing for the endpoint survival; it has balanced_sampling",
        ),
    ],
)
def test_an_option_that_means_nothing_is_refused(tmp_path, columns, chosen, sentence):
    file = tmp_path / "samples.csv"
    pl.DataFrame({"sample_id": ["a", "b"], **columns}).write_csv(file)
    recipe = TrainingRecipe.of("abmil", **chosen)
    edges = (0.0, 1.0, 3.0) if "time" in columns else None
    with pytest.raises(InputError, match=sentence):
        prepare(ExpertSetup("e", Path("none"), file, tmp_path / "out", recipe, time_edges=edges))
