"""Folders of trained experts, damaged or edited: what loads also predicts new slides."""

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from pathfuse.experts.parts import ExpertSetup  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.serve import serve  # noqa: E402
from pathfuse.experts.train import train_expert  # noqa: E402
from pathfuse.testing.cohort import CohortPlan, write_cohort  # noqa: E402

PLAN = CohortPlan(
    n_patients=16,
    slides_per_patient=(1, 1),
    tiles_per_slide=(3, 6),
    encoders={"alpha": ("trident", 6)},
    missing_slides=0.0,
    seed=4,
)
TINY = {"hidden": 8, "attention": 4, "epochs": 2, "min_epochs": 1, "folds": 2}
HEADS = {
    "abmil": TINY,
    "linear_probe": TINY,
    "pooled_linear": {"folds": 2},
    "pooled_forest": {"folds": 2},
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), PLAN)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_an_expert_that_loads_also_predicts(head, cohort, attack, mutators, tmp_path):
    out, features = tmp_path / head, cohort.features["alpha"]
    recipe = TrainingRecipe.of(head, **HEADS[head])
    train_expert(ExpertSetup("alpha", features, cohort.labels, out, recipe, cohort.slides))

    def mutate(folder, rng):
        files = [folder / "expert.json", *sorted((folder / "models").iterdir())]
        file = rng.choice([files[0], files[0], *files])
        mutators[file.suffix[1:]](file, rng)

    def use(folder):
        table = serve(folder, features, cohort.slides).table()
        assert np.isfinite(table.select(pl.selectors.float()).to_numpy()).all()

    attack.run(out, tmp_path, mutate, use)
