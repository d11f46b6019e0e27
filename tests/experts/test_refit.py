"""The model that predicts test rows, and parts of several networks."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("h5py")

from pathfuse.experts.apply import apply
from pathfuse.experts.cohort import Unit
from pathfuse.experts.fitted import load_fitted
from pathfuse.experts.parts import ExpertSetup
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import train_expert
from pathfuse.features.folder import open_folder
from pathfuse.testing.cohort import CohortPlan, write_cohort

TINY = {"hidden": 4, "attention": 4, "epochs": 4, "learning_rate": 1e-2, "folds": 3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """``trained(endpoint, **recipe)``: cohort and folder of an expert, made once each."""
    place, done = tmp_path_factory.mktemp("refit"), {}

    def train(endpoint="multiclass", **chosen):
        key = (endpoint, *sorted(chosen.items()))
        if key not in done:
            plan = CohortPlan(
                n_patients=30,
                tiles_per_slide=(3, 5),
                encoders={"alpha": ("stamp", 5)},
                endpoint=endpoint,
            )
            cohort = write_cohort(place / endpoint, plan)
            recipe = TrainingRecipe.of("abmil", **{**TINY, **chosen})
            setup = ExpertSetup(
                "alpha",
                cohort.features["alpha"],
                cohort.labels,
                place / f"expert_{len(done)}",
                recipe,
                cohort.slides,
            )
            done[key] = cohort, train_expert(setup)
        return done[key]

    return train


def test_it_is_trained_on_all_rows_for_the_epochs_of_the_folds(trained):
    _, out = trained()
    history = pl.read_csv(out / "history.csv")
    folds = history.filter(pl.col("part") != "all", "chosen")["epoch"]
    last = history.filter(pl.col("part") == "all")
    assert last.height == round(folds.median())
    assert last["chosen"].to_list() == [False] * (last.height - 1) + [True]
    assert last["validation_loss"].null_count() == last.height
    assert last["rate"][-1] < 0.5 * last["rate"][0] or last.height < 3
    assert history.filter(pl.col("part") != "all")["validation_loss"].null_count() == 0


def test_as_published_it_holds_rows_back(trained):
    _, out = trained(refit_epochs="validation")
    last = pl.read_csv(out / "history.csv").filter(pl.col("part") == "all")
    assert last["validation_loss"].null_count() == 0


def test_its_spread_is_the_error_out_of_fold(trained):
    cohort, out = trained("regression")
    fitted = load_fitted(out / "models" / "all.safetensors")
    truth = pl.read_csv(cohort.labels).filter(pl.col("split") == "fit")
    table = pl.read_parquet(out / "predictions" / "alpha.parquet").join(truth, on="sample_id")
    for k, name in enumerate(fitted.names):
        error = (table[f"mean_{name}"] - table[f"target_{name}"]).drop_nulls().to_numpy()
        rmse = np.sqrt((error**2).mean())
        np.testing.assert_allclose(fitted.scales["residual_sd"][k], rmse, rtol=1e-6)


@pytest.mark.parametrize("endpoint", ["multiclass", "regression"])
def test_several_networks_are_averaged(trained, endpoint):
    cohort, one = trained(endpoint)
    _, two = trained(endpoint, networks=2)
    single = load_fitted(one / "models" / "fold_0.safetensors")
    both = load_fitted(two / "models" / "fold_0.safetensors")
    for name, value in single.weights.items():
        np.testing.assert_array_equal(both.networks[0][name], value)
    assert any((both.networks[1][n] != both.networks[0][n]).any() for n in single.weights)
    folder = open_folder(cohort.features["alpha"])
    units = [Unit(0, (name,)) for name in list(folder.slides)[:5]]
    each = [
        apply(replace(single, weights=weights), folder, units).outputs for weights in both.networks
    ]
    np.testing.assert_array_equal(apply(both, folder, units).outputs, both.way.mean_of(each))
