"""The made-up cohort: layouts as described, one truth behind everything, and something to learn."""

import hashlib
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pathfuse.endpoints.base import Options
from pathfuse.endpoints.detect import endpoint_of
from pathfuse.errors import InputError
from pathfuse.files.tables import read_table
from pathfuse.study.samples import read_samples
from pathfuse.testing.cohort import (
    UNLABELLED,
    CohortPlan,
    draw_slides,
    signal_tiles,
    write_cohort,
    write_labels,
)
from pathfuse.testing.labels import ENDPOINTS, TIME_EDGES

h5py = pytest.importorskip("h5py")
torch = pytest.importorskip("torch")
SMALL = CohortPlan(
    n_patients=15, slides_per_patient=(1, 2), tiles_per_slide=(5, 9), missing_slides=0.1, seed=3
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), CohortPlan())


def files_of(cohort, encoder):
    folder = cohort.features[encoder]
    found = (folder / "h5_files" if encoder == "beta" else folder).glob("*.h5")
    return {p.name.removesuffix(".h5"): p for p in found}


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_the_layouts(cohort):
    name = sorted(set.intersection(*(set(files_of(cohort, e)) for e in cohort.features)))[0]
    with (
        h5py.File(files_of(cohort, "alpha")[name]) as trident,
        h5py.File(files_of(cohort, "beta")[name]) as clam,
    ):
        assert trident["features"].dtype == np.float16
        assert trident["features"].attrs["encoder"] == "alpha"
        assert trident["coords"].attrs["patch_size_level0"] == 256
        assert not clam.attrs.keys()
        assert not clam["features"].attrs.keys()
        assert (clam["features"].dtype, clam["features"].shape[1]) == (np.float32, 24)
        assert clam["coords"].dtype == np.int32
        tensor = torch.load(cohort.features["beta"] / "pt_files" / f"{name}.pt", weights_only=True)
        np.testing.assert_array_equal(tensor.numpy(), clam["features"][:])
        np.testing.assert_array_equal(trident["coords"][:], clam["coords"][:])
        xy = clam["coords"][:]
    with h5py.File(files_of(cohort, "gamma")[name]) as stamp:
        assert (stamp.attrs["extractor"], stamp.attrs["unit"], stamp.attrs["tile_size_um"]) == (
            "gamma",
            "um",
            128.0,
        )
        assert stamp["feats"].shape == (len(xy), 16)
        np.testing.assert_array_equal(stamp["coords"][:], xy * 0.5)
    assert cohort.features["alpha"].name == "features_alpha"
    assert len(np.unique(xy, axis=0)) == len(xy)


def test_slides_are_missing_here_and_there(cohort):
    table = pl.read_csv(cohort.slides, infer_schema=False)
    slides = set(table["slide_id"])
    held = {e: set(files_of(cohort, e)) for e in cohort.features}
    assert held["alpha"] - slides == {UNLABELLED}
    assert held["beta"] <= slides
    assert held["gamma"] <= slides
    lost = [slides - held[e] for e in held]
    assert all(len(one) == round(0.05 * len(slides)) for one in lost)
    assert len(set.union(*lost)) == sum(map(len, lost))
    hit = set(table.filter(pl.col("slide_id").is_in(list(set.union(*lost))))["sample_id"])
    assert hit < set(table["sample_id"])
    assert table.group_by("sample_id").len()["len"].max() == 3


def test_same_plan_same_bytes_and_one_truth_for_four_endpoints(tmp_path):
    for name, plan in {
        "one": SMALL,
        "two": SMALL,
        "other": replace(SMALL, endpoint="survival"),
        "seed": replace(SMALL, seed=4),
    }.items():
        write_cohort(tmp_path / name, plan)
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    other = digests(tmp_path / "other")
    assert {k for k in one if one[k] != other[k]} == {"labels.csv"}
    assert one["slides.csv"] != digests(tmp_path / "seed")["slides.csv"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_labels_are_read_and_both_parts_hold_every_value(tmp_path, endpoint):
    labels, _ = write_labels(tmp_path, CohortPlan(endpoint=endpoint))
    samples = read_samples(read_table(labels))
    options = Options(time_edges=TIME_EDGES) if endpoint == "survival" else Options()
    kind, names = endpoint_of(samples.frame.columns, samples.source)
    truth = kind.from_columns(samples.columns(names), options).truth(samples.columns(names))
    assert kind.kind == endpoint
    assert truth
    frame = pl.read_csv(labels)
    targets = frame.columns[4:]
    assert frame.filter(split="test").height == 18
    assert set(frame["site"]) == {"site_1", "site_2", "site_3"}
    blanks = sum(frame[name].null_count() for name in targets)
    assert (blanks > 0) == (endpoint in ("multilabel", "regression"))
    for name in targets:
        if frame[name].n_unique() <= 4:
            values = frame.select("split", name).drop_nulls().unique()
            assert values.height == 2 * values[name].n_unique() >= 4


def test_attention_has_something_to_find():
    plan = CohortPlan(n_patients=15)
    slides, truth = draw_slides(plan), signal_tiles(plan)
    share = np.concatenate(list(truth.values())).mean()
    assert 0.12 < share < 0.18
    inside = np.concatenate([s.state[s.signal, :3].max(1) for s in slides])
    outside = np.concatenate([s.state[~s.signal, :3].max(1) for s in slides])
    assert inside.mean() > outside.mean() + 1.5
    far = [
        np.ptp(s.xy[s.signal], axis=0).max() - np.ptp(s.xy, axis=0).max()
        for s in slides
        if s.signal.sum() > 2
    ]
    assert np.mean(far) < 0  # neighbours


def test_means_can_be_learnt_from_and_the_encoders_complement_each_other(cohort):
    labels = pl.read_csv(cohort.labels, infer_schema=False)
    slides = pl.read_csv(cohort.slides, infer_schema=False)
    truth = labels["label"].to_numpy()
    said = {}
    for encoder in cohort.features:
        files = files_of(cohort, encoder)
        means = {}
        for who in labels["sample_id"]:
            bags = []
            for slide in slides.filter(sample_id=who)["slide_id"]:
                if slide in files:
                    with h5py.File(files[slide]) as content:
                        bags.append(
                            content["feats" if encoder == "gamma" else "features"][:].astype(float)
                        )
            means[who] = np.concatenate(bags).mean(0) if bags else None
        width = next(len(m) for m in means.values() if m is not None)
        x = np.stack([np.zeros(width) if m is None else m for m in means.values()])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        said[encoder] = cross_val_predict(model, x, truth, cv=folds, method="predict_proba")
    alone = {e: roc_auc_score(truth, p, multi_class="ovr") for e, p in said.items()}
    product = np.prod(list(said.values()), axis=0)
    fused = roc_auc_score(truth, product / product.sum(1, keepdims=True), multi_class="ovr")
    assert all(0.65 < value < 0.95 for value in alone.values()), alone
    assert fused > max(alone.values())
    best = [
        max(said, key=lambda e, k=k: roc_auc_score(truth == name, said[e][:, k]))
        for k, name in enumerate(["adipose", "stroma", "tumor"])
    ]
    assert best == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpoint": "grade"}, "'grade'"),
        ({"tiles_per_slide": (5, 2)}, "from 5 to 2 tiles"),
        ({"encoders": {"x": ("eva", 8)}}, "as eva"),
        ({"missing_slides": 0.5}, "missing"),
        ({"n_patients": 0}, "at least one patient"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_plan_that_makes_no_sense(change, words):
    with pytest.raises(InputError, match=words):
        CohortPlan(**change)


def test_too_few_patients_for_a_split(tmp_path):
    with pytest.raises(InputError, match="3 patients are too few"):
        write_cohort(tmp_path, CohortPlan(n_patients=3))


@pytest.mark.parametrize(
    ("module", "words"), [("h5py", r"pathfuse\[formats\]"), ("torch", r"pathfuse\[torch\]")]
)
def test_what_to_install_is_said(tmp_path, monkeypatch, module, words):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=words):
        write_cohort(tmp_path, SMALL)
