"""The search over recipes: inner folds of rows that are not judged, seeded, resumable."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")

from pathfuse.errors import InputError
from pathfuse.experts.parts import ExpertSetup
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.tuning import search
from pathfuse.experts.tuning.recipe_file import read_recipe_file
from pathfuse.experts.tuning.search import tune
from pathfuse.experts.tuning.space import parse_space, read_space

TINY = {"hidden": 4, "epochs": 2, "min_epochs": 1, "folds": 3}
SPACE = read_space(parse_space("learning_rate=1e-3:1e-1:log,hidden=2|4"), "--space")
N = 36


@pytest.fixture
def expert(tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"s{k:02d}" for k in range(N)]
    labels = np.array(["a", "b"])[np.arange(N) % 2]
    x = rng.normal(size=N) + (labels == "b")
    pl.DataFrame({"sample_id": ids, "f0": x, "f1": rng.normal(size=N)}).write_csv(
        tmp_path / "x.csv"
    )
    split = ["fit"] * 24 + ["test"] * 12
    table = {"sample_id": ids, "patient_id": ids, "split": split, "label": labels}
    pl.DataFrame(table).write_csv(tmp_path / "samples.csv")
    recipe = TrainingRecipe.of("tile_mlp", **TINY)
    return ExpertSetup("t", tmp_path / "x.csv", tmp_path / "samples.csv", tmp_path / "out", recipe)


def bytes_of(folder):
    return [(folder / name).read_bytes() for name in ("tuned.yaml", "trials.csv")]


def test_a_search(expert, monkeypatch):
    """Stopped and gone on with, it finds the same; test rows decide nothing."""
    done = tune(expert, TINY, SPACE, trials=4, n_jobs=1)
    table = pl.read_csv(done.folder / "trials.csv")
    assert table.columns == ["trial", "folds", "loss", "best", "learning_rate", "hidden", "note"]
    assert table["folds"].to_list().count(1) == 2
    assert table["folds"].max() == 3
    assert (table["folds"][0], table["best"].sum()) == (3, 1)
    found = read_recipe_file(done.folder / "tuned.yaml")
    assert found["head"] == "tile_mlp"
    assert "folds" not in found
    TrainingRecipe.of(**found)
    assert "inner folds of 24 samples of 24 patients" in done.verdict

    samples = pl.read_csv(expert.samples)
    turned = pl.when(pl.col("split") == "test").then(pl.lit("a")).otherwise(pl.col("label"))
    samples.with_columns(label=turned).write_csv(expert.samples)
    calls, train = [], search._train

    def killed(one, part):
        calls.append(part.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(one, part)

    monkeypatch.setattr(search, "_train", killed)
    again = replace(expert, out=expert.out.with_name("again"))
    with pytest.raises(KeyboardInterrupt):
        tune(again, TINY, SPACE, trials=4, n_jobs=1)
    tune(again, TINY, SPACE, trials=4, n_jobs=1)
    assert len(calls) - 3 == table["folds"].sum() - 2  # two were trained before the stop
    assert bytes_of(again.out) == bytes_of(expert.out)
    assert not again.out.with_name(".again.tune").exists()


def test_a_recipe_that_diverges_is_a_bad_one(expert, monkeypatch):
    def part(one, part, on_epoch=None):
        if one.expert.recipe.hidden == 2:
            raise InputError("training diverged in epoch 1")
        run_part(one, part, on_epoch)

    run_part = search.run_part
    monkeypatch.setattr(search, "run_part", part)
    space = read_space({"hidden": [2]}, "--space")
    done = tune(expert, TINY, space, trials=2, search="random", n_jobs=1)
    assert done.trials["loss"].to_list()[1] is None
    assert done.trials["note"][1] == "training diverged in epoch 1"
    assert done.trials["best"].to_list() == [True, False]
    assert done.verdict.startswith("of 2 trials none beats the recipe as it stands")


def test_without_rows_to_tune_on_it_is_refused(expert):
    pl.read_csv(expert.samples).drop("split").write_csv(expert.samples)
    with pytest.raises(InputError, match="has no column 'split': without it every row is judged"):
        tune(expert, TINY, SPACE, trials=2)
    assert not expert.out.with_name(".out.tune").exists()
    with pytest.raises(InputError, match="--trials is 1, but must be at least 2"):
        tune(expert, TINY, SPACE, trials=1)
