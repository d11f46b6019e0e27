"""Held-out rows steer nothing: their labels and features may be anything, and who did not see them
says the same.

For every endpoint and every head. Only values change here, never which rows have a truth or
features: a row without a truth trains nobody, and that is seen.

* With ``split``: the labels of ``test`` rows change no model and no prediction, their features no
  model and no prediction of another row. Of a cross-fitted part the same holds for the ``fit`` rows
  that it does not train on, *given the folds*: features never move a fold, labels of rows that are
  divided do (folds hold outcomes in equal shares), so that the folds of the unchanged table are
  kept there.
* With ``fold``: nothing is divided but the training rows of each fold, for early stopping, so the
  same holds without any condition.
* With neither: the folds are made from the labels of the rows that are divided. Features move no
  fold; given the folds, each fold's model says the same whatever the labels and features of its
  fold; a sample without features is not divided, and its label changes nothing.
* With ``train`` rows: one model, which no other row can change.

The set of classes is that of the whole table (a study's label space), so labels are changed among
the classes.
"""

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.apply import CLUSTERS, apply  # noqa: E402
from pathfuse.experts.cohort import Cohort, Unit, read_people  # noqa: E402
from pathfuse.experts.fit import fit_part  # noqa: E402
from pathfuse.experts.fitted import save_fitted  # noqa: E402
from pathfuse.experts.folds import plan  # noqa: E402
from pathfuse.experts.heads.registry import HEADS  # noqa: E402
from pathfuse.experts.parts import ExpertSetup, Prepared, open_work  # noqa: E402
from pathfuse.experts.pooled import probe  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.train import run_part  # noqa: E402
from pathfuse.features.moments import moments_of  # noqa: E402

EVERY_HEAD = sorted(HEADS)
ENDPOINTS = ("multiclass", "multilabel", "survival", "regression")
N, PER_PATIENT, VIEWS = 40, 2, {"one": 3, "two": 2}
EDGES = (0.0, 1.0, 2.0, 4.0)
TINY = {
    "hidden": 4,
    "epochs": 1,
    "min_epochs": 1,
    "folds": 2,
    "validation": 0.34,
    "learning_rate": 1e-2,
}
"""A third of the training patients is looked at by early stopping: which of them, the labels
decide."""
OWN = {
    "meta_encoder": {"attention_heads": 2, "drop_encoder": 0.2, "strategy": "contrastive"},
    "fusecpath": {"attention_heads": 2, "clusters": 2, "per_cluster": 2, "draws": 2},
    "pca_ridge": {"components": 3},
    "pooled_forest": {"trees": 20},
}


class Features:
    """Two encoders' features in memory."""

    dim, views, broken, encoder, scanned = sum(VIEWS.values()), VIEWS, (), None, None

    def __init__(self, bags, granularity):
        self.bags, self.granularity = bags, granularity
        self.slides = {
            name: SimpleNamespace(n_tiles=len(bag), dtype="float32") for name, bag in bags.items()
        }

    def read(self, name, rows=None):
        return (self.bags[name] if rows is None else self.bags[name][rows]).copy()

    def stored(self, name):
        return self.read(name)

    @property
    def store(self):
        return SimpleNamespace(moments=lambda name: moments_of([self.bags[name]]))


class Teacher(Features):
    """One slide-level embedding."""

    dim, views = 2, {"features": 2}


def ids():
    return [f"s{i:02d}" for i in range(N)]


def labels_of(endpoint, seed=0):
    """Target columns; a tenth of the labels and targets is blank, always the same."""
    rng, blank = np.random.default_rng(seed), np.arange(N) % 10 == 7
    if endpoint == "multiclass":
        return {"label": [*"abc", *rng.choice(list("abc"), N - 6), *"abc"]}
    if endpoint == "survival":
        return {
            "time": np.round(rng.uniform(0.1, 5, N), 3),
            "event": [1, *rng.integers(0, 2, N - 1)],
        }
    draw = (
        (lambda: rng.integers(0, 2, N))
        if endpoint == "multilabel"
        else (lambda: rng.normal(5, 10 ** rng.uniform(0, 2), N))
    )
    prefix = "label_" if endpoint == "multilabel" else "target_"
    columns = {f"{prefix}X": draw(), f"{prefix}Y": draw()}
    columns[f"{prefix}Y"] = [
        None if gone else value
        for value, gone in zip(columns[f"{prefix}Y"].tolist(), blank, strict=True)
    ]
    return columns


def samples_of(endpoint, scheme):
    patient = np.arange(N) // PER_PATIENT
    part = {
        "split": {"split": ["test" if p % 4 == 3 else "fit" for p in patient]},
        "train": {"split": [("train", "train", "fit", "test")[p % 4] for p in patient]},
        "fold": {"fold": patient % 3},
        "neither": {},
    }[scheme]
    return pl.DataFrame(
        {
            "sample_id": ids(),
            "patient_id": [f"p{p:02d}" for p in patient],
            **part,
            **labels_of(endpoint),
        }
    )


def with_other_labels(table, endpoint, rows):
    """Other truth in some rows: the cells of another draw, in regression far off as well; blanks
    stay."""
    other = pl.DataFrame(labels_of(endpoint, 1))
    if endpoint == "regression":
        other = other.with_columns(pl.all() * 1000 - 7e3)
    there = pl.Series(np.isin(np.arange(N), rows))
    changed = table.with_columns(
        pl.when(there).then(other[name]).otherwise(pl.col(name)).alias(name)
        for name in other.columns
    )
    assert not changed.equals(table)
    return changed


def features_of(head, rows=()):
    """Bags of four tiles, or vectors, some tiles without one encoder; of some rows another draw, in
    another place."""
    rng, other = np.random.default_rng(0), np.random.default_rng(1)
    tiles = 4 if "tile" in HEADS[head].granularities else 1
    bags = {}
    for k, name in enumerate(ids()):
        plain, odd = rng.normal(size=(tiles, 5)), 30 * other.normal(size=(tiles, 5)) + 100
        bags[name] = (odd if k in rows else plain).astype(np.float32)
        if tiles > 1 and k % 5 == 0:
            bags[name][1, VIEWS["one"] :] = np.nan
    return Features(bags, "tile" if tiles > 1 else "slide")


def prepared_of(place, table, endpoint, head, folder, rows=(), without=(), **chosen):
    """An expert whose features are in memory; FuseCPath has a teacher, whose vectors of ``rows``
    change as well."""
    place.mkdir()
    table.write_csv(place / "samples.csv")
    edges = EDGES if endpoint == "survival" else None
    people = read_people(place / "samples.csv", None, endpoint, edges)
    recipe = TrainingRecipe.of(
        head,
        **({"folds": 2} if HEADS[head].pooled else TINY | {"attention": 4})
        | OWN.get(head, {})
        | chosen,
    )
    expert = ExpertSetup(head, Path("none"), place / "samples.csv", place / "out", recipe)
    units = tuple(
        Unit(row, (name,))
        for row, name in enumerate(people.samples.ids.tolist())
        if row not in without
    )
    cohort = Cohort(people, folder, units, ())
    rng = np.random.default_rng(2)
    vectors = {name: rng.normal(size=(1, 2)).astype(np.float32) for name in ids()}
    vectors |= {ids()[k]: 50 + vectors[ids()[k]] for k in rows}
    teachers = {"titan": Teacher(vectors, "slide")} if head == "fusecpath" else {}
    return Prepared(expert, cohort, plan(cohort, recipe), "", teachers)


def said_by(prepared, part):
    """The bytes of a part's model file, and what it predicts: row to bytes."""
    place = prepared.expert.out.parent
    if part.after:
        open_work(prepared)
        for one in prepared.plan.parts:
            if one.name in part.after:
                run_part(prepared, one)
    fit = fit_part(prepared, part, place / "checkpoint", None)
    (place / "checkpoint").unlink(missing_ok=True)
    save_fitted(fit.fitted, place / "model")
    units = prepared.cohort.units_of(part.predict)
    outputs = apply(
        fit.fitted, prepared.cohort.folder, units, clusters=prepared.expert.work / CLUSTERS
    ).outputs
    return (place / "model").read_bytes(), {
        unit.sample: row.tobytes() for unit, row in zip(units, outputs, strict=True)
    }


def laid_out(prepared):
    return [(part.name, part.train.tolist(), part.predict.tolist()) for part in prepared.plan.parts]


def others(said, rows):
    return {row: word for row, word in said.items() if row not in set(rows)}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Fewer penalties to choose from: the same path, in a tenth of the time."""
    monkeypatch.setattr(probe, "STRENGTHS", (1e-2, 1.0))
    monkeypatch.setattr(probe, "REPEATS", 1)


@pytest.fixture
def study(tmp_path):
    """``study(endpoint, head, scheme)``: makes one after the other of an expert, its tables and
    features changed."""

    made = count()

    def make(endpoint, head, scheme, **chosen):
        table = samples_of(endpoint, scheme)

        def one(labels=(), features=(), without=()):
            changed = with_other_labels(table, endpoint, labels) if len(labels) else table
            return prepared_of(
                tmp_path / str(next(made)),
                changed,
                endpoint,
                head,
                features_of(head, features),
                features,
                without,
                **chosen,
            )

        return one

    return make


QUICK = ("abmil", "meta_encoder", "pca_ridge", "pooled_forest")
"""Of each kind one: network, fusion of features, linear model, forest. All others run for classes with
the slow tests, and for the other endpoints with the long ones."""


def marks_of(head, endpoint):
    if head in QUICK:
        return ()
    return pytest.mark.slow if endpoint == "multiclass" else pytest.mark.long


every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)
every_head = pytest.mark.parametrize(
    ("head", "endpoint"),
    [
        pytest.param(head, endpoint, marks=marks_of(head, endpoint))
        for head in EVERY_HEAD
        for endpoint in ENDPOINTS
    ],
)


@every_head
@pytest.mark.slow
def test_test_rows_and_rows_of_another_fold_change_no_model_and_no_other_prediction(
    study, endpoint, head
):
    one = study(endpoint, head, "split")
    plain = one()
    fold, whole = plain.plan.parts[0], plain.plan.parts[-1]
    assert (fold.name, whole.name) == ("fold_0", "all")
    test = np.flatnonzero(plain.cohort.people.samples.roles == "test")
    half = test[::2]
    labels, features = one(labels=test), one(features=half)
    assert laid_out(labels) == laid_out(features) == laid_out(plain)
    first, (model, said) = said_by(plain, fold), said_by(plain, whole)
    assert said_by(labels, fold) == first
    assert said_by(labels, whole) == (model, said)
    again, moved = said_by(features, whole)
    assert (again, others(moved, half)) == (model, others(said, half))
    assert all(moved[row] != said[row] for row in half)  # or nothing was changed at all
    held = fold.predict
    labels, features = replace(one(labels=held), plan=plain.plan), one(features=held)
    assert laid_out(features) == laid_out(plain)
    assert said_by(labels, fold) == first
    assert said_by(features, fold)[0] == first[0]


@every_head
def test_a_given_fold_changes_nothing_of_its_model(study, endpoint, head):
    one = study(endpoint, head, "fold")
    plain = one()
    part = plain.plan.parts[1]
    half = part.predict[::2]
    labels, features = one(labels=part.predict), one(features=half)
    assert laid_out(labels) == laid_out(features) == laid_out(plain)
    model, said = said_by(plain, part)
    assert said_by(labels, part) == (model, said)
    again, moved = said_by(features, part)
    assert again == model
    assert others(moved, half) == others(said, half)


ALL_OF_THEM = {"class_weights": True, "focal": 2.0}
AGAINST_IMBALANCE = [
    ("abmil", "multiclass", ALL_OF_THEM),
    ("abmil", "multiclass", {"balanced_sampling": True}),
    ("abmil", "multilabel", ALL_OF_THEM),
    ("abmil", "multilabel", {"balanced_sampling": True}),
    ("abmil", "survival", {"balanced_sampling": True}),
    *(
        pytest.param(head, "multiclass", ALL_OF_THEM, marks=pytest.mark.slow)
        for head in EVERY_HEAD
        if not HEADS[head].pooled and head != "abmil"
    ),
]


@pytest.mark.parametrize(("head", "endpoint", "chosen"), AGAINST_IMBALANCE)
def test_weights_and_draws_come_from_training_rows(study, head, endpoint, chosen):
    one = study(endpoint, head, "fold", **chosen)
    plain = one()
    part = plain.plan.parts[1]
    model, said = said_by(plain, part)
    assert said_by(one(labels=part.predict), part) == (model, said)
    assert said_by(study(endpoint, head, "fold")(), part)[0] != model


@every_endpoint
@pytest.mark.parametrize("head", ["abmil", "pca_ridge"])
def test_folds_made_here(study, endpoint, head):
    """Which rows are divided is the same for all heads, and so are the fits: two heads stand for
    all."""
    one = study(endpoint, head, "neither")
    plain = one()
    part = plain.plan.parts[0]
    labels, features = (
        replace(one(labels=part.predict), plan=plain.plan),
        one(features=part.predict),
    )
    assert laid_out(features) == laid_out(plain)
    model, said = said_by(plain, part)
    assert said_by(labels, part) == (model, said)
    assert said_by(features, part)[0] == model
    gone = (3, 20, 39)
    few, other = one(without=gone), one(labels=gone, without=gone)
    assert laid_out(few) == laid_out(other)
    assert [said_by(few, part) for part in few.plan.parts] == [
        said_by(other, part) for part in other.plan.parts
    ]


@every_endpoint
@pytest.mark.parametrize("head", ["abmil", "pca_ridge"])
def test_the_model_of_train_rows(study, endpoint, head):
    one = study(endpoint, head, "train")
    plain = one()
    (part,) = plain.plan.parts
    rest, half = part.predict, part.predict[::2]
    model, said = said_by(plain, part)
    assert said_by(one(labels=rest), part) == (model, said)
    again, moved = said_by(one(features=half), part)
    assert (again, others(moved, half)) == (model, others(said, half))
