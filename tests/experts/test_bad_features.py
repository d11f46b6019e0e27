"""Features that are odd: handled and said, or refused in a sentence."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("h5py")

import h5py

from pathfuse.errors import InputError
from pathfuse.experts.parts import ExpertSetup, prepare
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import train_expert
from pathfuse.features.folder import open_folder

N = 16
IDS = [f"s{k:02d}" for k in range(N)]
TINY = {
    "hidden": 4,
    "attention": 4,
    "epochs": 2,
    "min_epochs": 1,
    "folds": 2,
    "validation": 0,
    "learning_rate": 1e-2,
}


@pytest.fixture
def bags():
    """Sample to its tiles, (tile, 4)."""
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=(3 + k % 3, 4)) + 2 * (k % 2) * np.eye(4)[0]
        for k, name in enumerate(IDS)
    }


@pytest.fixture
def expert(tmp_path):
    """``expert(bags, head, dtype)``: bags written, and the expert that reads them."""

    def make(bags, head="mean_pool", dtype=np.float32, name="x", **chosen):
        (tmp_path / name).mkdir()
        for slide, values in bags.items():
            with h5py.File(tmp_path / name / f"{slide}.h5", "w") as out, np.errstate(over="ignore"):
                out["features"] = values.astype(dtype)
        table = {"sample_id": IDS, "patient_id": IDS, "label": ["a", "b"] * (N // 2)}
        pl.DataFrame(table).write_csv(tmp_path / "samples.csv")
        recipe = TrainingRecipe.of(
            head, **(TINY if head != "linear_probe" else {"folds": 2}), **chosen
        )
        out = tmp_path / f"out_{name}"
        return ExpertSetup("e", tmp_path / name, tmp_path / "samples.csv", out, recipe)

    return make


def logits(expert):
    out = train_expert(expert)
    return pl.read_parquet(out / "predictions" / "e.parquet").drop("sample_id").to_numpy()


@pytest.mark.parametrize("head", ["mean_pool", "abmil", "linear_probe"])
@pytest.mark.parametrize("value", [0.0, 7.5, 1e6])
def test_dimensions_that_are_constant_or_empty(expert, bags, head, value):
    """Predictions are numbers, and it is said."""
    flat = {
        name: np.column_stack([bag, np.full((len(bag), 2), value)]) for name, bag in bags.items()
    }
    chosen = {} if head == "linear_probe" else {"standardize": True}
    one = expert(flat, head, **chosen)
    said = f"{one.features}: 2 of 6 dimensions have one value in every tile of every slide, and say nothing"
    assert prepare(one).cohort.warnings == (said,)
    assert np.isfinite(logits(one)).all()


def test_an_encoder_that_its_maker_standardised(expert, bags):
    """Scaled on the training part, features of any scale and offset give the same predictions."""
    every = np.concatenate(list(bags.values()))
    made = {name: (bag - every.mean(axis=0)) / every.std(axis=0) for name, bag in bags.items()}
    raw = {name: 40 + 900 * bag for name, bag in bags.items()}
    recipe = {"standardize": True, "clip": 5.0}
    one = logits(expert(made, name="made", **recipe))
    other = logits(expert(raw, name="raw", **recipe))
    assert np.allclose(one, other, atol=1e-3)


def test_an_overflow_of_float16(expert, bags):
    """Named by file, slide and dimension; left out, and refused where it is most of a study."""
    bags["s03"][1, 2] = 1e5
    one = expert(bags, dtype=np.float16)
    why = (
        "column 2 of tile 1 (both counted from 0) is infinite, as float16 ends at 65504; "
        "write the features as float32"
    )
    folder = open_folder(one.features)
    assert [(item.name, item.path.name, item.reason) for item in folder.broken] == [
        ("s03", "s03.h5", why)
    ]
    (line, *_) = prepare(one).cohort.left_out
    assert (line["reason"], line["first"]) == (f"feature file could not be used: {why}", ["s03"])
    with pytest.raises(InputError) as refused:
        prepare(replace(one, strict=True))
    assert str(refused.value) == f"{one.features / 's03.h5'}: {why}"
    many = expert({name: 1e5 * bag for name, bag in bags.items()}, dtype=np.float16, name="many")
    with pytest.raises(
        InputError, match=r"none of its 16 slides can be used; the first, .*s00\.h5: column"
    ):
        prepare(many)


@pytest.mark.parametrize("head", ["mean_pool", "abmil", "linear_probe"])
def test_slides_of_one_tile_among_others(expert, bags, head):
    bags |= {name: bags[name][:1] for name in IDS[::3]}
    one = expert(bags, head)
    assert prepare(one).cohort.warnings == ()
    assert np.isfinite(logits(one)).all()


def test_slides_of_one_tile_alone_are_vectors(expert, bags):
    """A folder of single rows holds one vector per sample: heads that pool bags say so."""
    one = expert({name: bag[:1] for name, bag in bags.items()}, "abmil")
    with pytest.raises(InputError, match="holds one vector per sample, and the head 'abmil' pools bags of tiles; "
                                         "choose one of tile_mlp"):  # fmt: skip
        prepare(one)
    vectors = replace(one, recipe=TrainingRecipe.of("linear_probe", folds=2))
    assert np.isfinite(logits(vectors)).all()
