"""Parts: what is left behind, and the standard deviations of regression."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")

from pathfuse.errors import InputError
from pathfuse.experts.parts import ExpertSetup, load_part, open_work, prepare
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import run_part


@pytest.fixture
def expert(tmp_path):
    """Thirty vectors and two targets; the second is known of the first three rows only."""
    rng = np.random.default_rng(0)
    ids = [f"s{k:02d}" for k in range(30)]
    x = rng.normal(size=(30, 3))
    pl.DataFrame({"sample_id": ids, **{f"f{k}": x[:, k] for k in range(3)}}).write_csv(
        tmp_path / "vectors.csv"
    )
    rare = [10.0 * k if k < 3 else None for k in range(30)]
    samples = pl.DataFrame({"sample_id": ids, "split": ["fit"] * 24 + ["test"] * 6,
                            "target_a": x[:, 0] * 5 + 100 + rng.normal(size=30), "target_b": rare})  # fmt: skip
    samples.write_csv(tmp_path / "samples.csv")
    recipe = TrainingRecipe.of(
        "tile_mlp", hidden=8, epochs=2, min_epochs=1, folds=2, validation=0.25, learning_rate=1e-2
    )
    return ExpertSetup(
        "e", tmp_path / "vectors.csv", tmp_path / "samples.csv", tmp_path / "out", recipe
    )


def test_a_part_is_done_once(expert):
    prepared = prepare(expert)
    open_work(prepared)
    part = prepared.plan.parts[0]
    output = []
    run_part(prepared, part, lambda line: output.append(line["epoch"]))
    assert output == [1, 2]
    assert prepared.done(part)
    assert sorted(p.name for p in (expert.work / "fold_0").iterdir()) == [
        "history.json", "model.safetensors", "outputs.parquet"
    ]  # fmt: skip
    run_part(prepared, part, lambda line: output.append(line["epoch"]))
    assert len(output) == 2
    _, table, history = load_part(expert.work, "fold_0")
    assert table["row"].to_list() == part.predict.tolist()
    assert [line["epoch"] for line in history["history"]] == [1, 2]
    open_work(prepared)
    assert prepared.done(part)
    open_work(prepared, fresh=True)
    assert not prepared.done(part)


def test_an_unheard_target_keeps_its_spread(expert):
    """Where no held-out row knows a target, its error is unknown, not zero."""
    prepared = prepare(expert)
    open_work(prepared)
    known = prepared.cohort.people.targets.known[:, 1]
    for part in prepared.plan.parts:
        run_part(prepared, part)
        fitted, _, _ = load_part(expert.work, part.name)
        values = np.array([10.0 * k for k in part.train if known[k]])
        spread = values.std() if len(values) and values.std() > 0 else 1.0
        assert fitted.scales["target_sd"][1] == pytest.approx(spread)
        assert fitted.scales["residual_sd"][1] > 1e-3 * spread
        assert 0.5 < fitted.scales["residual_sd"][0] < 50


def test_too_little_to_train_on(expert):
    table = pl.read_csv(expert.samples).drop("split")
    table.with_columns(fold=pl.Series([0] * 29 + [1])).write_csv(expert.samples)
    with pytest.raises(InputError, match="part 'fold_0' has 1 rows to train on"):
        prepare(expert)


def test_a_broken_stamp_starts_afresh(expert):
    prepared = prepare(expert)
    open_work(prepared)
    (expert.work / "fold_0").mkdir()
    (expert.work / "stamp.json").write_text("{")
    open_work(prepared)
    assert not prepared.done(prepared.plan.parts[0])
    assert json.loads((expert.work / "stamp.json").read_text())["stamp"] == prepared.stamp


@pytest.mark.parametrize("head", ["tile_mlp", "linear_probe"])
def test_a_target_that_is_constant_in_training_has_no_false_certainty(expert, head):
    """Its error in training is nothing, which says nothing about rows where it is something else."""
    table = pl.read_csv(expert.samples)
    table.with_columns(target_b=pl.when(split="test").then(9.0).otherwise(2.5)).write_csv(
        expert.samples
    )
    recipe = expert.recipe if head == "tile_mlp" else TrainingRecipe.of(head, folds=2)
    prepared = prepare(replace(expert, recipe=recipe))
    open_work(prepared)
    for part in prepared.plan.parts:
        run_part(prepared, part)
        fitted, table, _ = load_part(expert.work, part.name)
        assert table["1"].is_between(0, 6).all()
        assert fitted.scales["residual_sd"][1] == pytest.approx(fitted.scales["target_sd"][0])
