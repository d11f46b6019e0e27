"""What a GPU computes is what the CPU computes, for every head; skipped where there is none."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from pathfuse.experts.apply import apply  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402
from pathfuse.experts.fitted import load_fitted  # noqa: E402
from pathfuse.experts.heads.registry import HEADS  # noqa: E402
from pathfuse.experts.parts import ExpertSetup  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.train import train_expert  # noqa: E402
from pathfuse.features.folder import open_folder  # noqa: E402
from pathfuse.testing.cohort import CohortPlan, write_cohort  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

NETWORKS = sorted(
    name for name, facts in HEADS.items() if "tile" in facts.granularities and not facts.pooled
)
PLAN = CohortPlan(n_patients=30, tiles_per_slide=(3, 40), encoders={"alpha": ("trident", 16)})
TINY = {
    "epochs": 3,
    "min_epochs": 1,
    "folds": 2,
    "hidden": 32,
    "attention": 16,
    "networks": 1,
    "device": "cuda",
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), PLAN)


def setup_of(cohort, out, head, **chosen):
    recipe = TrainingRecipe.of(head, **{**TINY, **chosen})
    return ExpertSetup("alpha", cohort.features["alpha"], cohort.labels, out, recipe, cohort.slides)


def outputs(fitted, cohort, **changed):
    folder = open_folder(cohort.features["alpha"])
    units = [Unit(row, (name,)) for row, name in enumerate(folder.slides)]
    recipe = fitted.recipe.model_copy(update=changed)
    return apply(replace(fitted, recipe=recipe), folder, units).outputs


def logits(out):
    """Not equal to the byte: a GPU adds up in no fixed order."""
    table = pl.read_parquet(out / "predictions" / "alpha.parquet")
    return table.drop("sample_id").to_numpy()


@pytest.mark.parametrize("head", NETWORKS)
def test_a_head_predicts_the_same_on_both(cohort, tmp_path, head):
    train_expert(setup_of(cohort, tmp_path / "run", head))
    fitted = load_fitted(tmp_path / "run" / "models" / "all.safetensors")
    on_gpu = outputs(fitted, cohort, device="cuda")
    np.testing.assert_allclose(outputs(fitted, cohort, device="cpu"), on_gpu, rtol=2e-3, atol=2e-3)
    half = outputs(fitted, cohort, device="cuda", precision="bfloat16")
    np.testing.assert_allclose(half, on_gpu, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("head", NETWORKS)
def test_training_twice_gives_the_same_predictions(cohort, tmp_path, head):
    tables = []
    for out in (tmp_path / "one", tmp_path / "two"):
        train_expert(setup_of(cohort, out, head))
        tables.append(logits(out))
    np.testing.assert_allclose(*tables, rtol=1e-3, atol=1e-3)


def test_named_devices_train_what_auto_trains(cohort, tmp_path):
    for out, devices in ((tmp_path / "auto", ()), (tmp_path / "named", ("cuda:0",))):
        train_expert(setup_of(cohort, out, "abmil", device="auto"), devices=devices)
    np.testing.assert_allclose(*map(logits, (tmp_path / "auto", tmp_path / "named")), atol=1e-3)
