"""Folders of fitted fusions, damaged or edited: what loads also predicts."""

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.fusion.methods import methods_of

KINDS = ("multiclass", "multilabel", "survival", "regression")


@pytest.fixture(scope="module")
def models(tmp_path_factory, small_study, quick_inner_folds):
    """A council of each endpoint with the samples that it was fitted on."""
    place, found = tmp_path_factory.mktemp("models"), {}
    for kind in KINDS:
        study = small_study(kind, 90)
        model = pathfuse.fuse(study, n_resamples=0).model
        model.save(place / kind)
        found[kind] = place / kind
    return found


@pytest.fixture(scope="module")
def new(small_study):
    """Predictions of new samples, by endpoint; the second expert lacks some."""
    rng, found = np.random.default_rng(1), {}
    columns = {
        "multiclass": [f"logit_c{k}" for k in range(3)],
        "multilabel": ["logit_kras", "logit_braf"],
        "survival": [f"hazard_logit_{k}" for k in (1, 2, 3)],
        "regression": ["mean_ki67", "mean_er"],
    }
    for kind, names in columns.items():
        ids = {"sample_id": [f"new{n}" for n in range(12)]}
        tables = {
            f"e{m}": pl.DataFrame({**ids, **{name: rng.normal(size=12) for name in names}})
            for m in range(3)
        }
        found[kind] = {**tables, "e1": tables["e1"].head(8)}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_loads_also_predicts(kind, models, new, attack, mutate_one_of, tmp_path):
    def use(folder):
        fused = pathfuse.load(folder).predict(new[kind])
        assert np.isfinite(fused.select(pl.selectors.numeric()).to_numpy()).all()
        assert fused.height == 12

    attack.run(models[kind], tmp_path, mutate_one_of, use)


def test_the_models_hold_every_method_that_votes(models):
    for kind, folder in models.items():
        members = next(iter(pathfuse.load(folder).fusions.values())).members_
        assert set(members) <= set(methods_of(kind))
        assert len(members) > 3
