"""Most of a study may not drop out of an expert unseen: what is counted, what is refused, and what
goes on."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")

from pathfuse.errors import InputError
from pathfuse.experts.parts import ExpertSetup, prepare
from pathfuse.experts.recipe import TrainingRecipe

N = 20
ADVICE = (
    "; mend that, or go on with what is left: --allow-partial (allow_partial: true in study.yaml)"
)


@pytest.fixture
def expert(tmp_path):
    """``expert(there, **columns)``: of each encoder the samples that it has; one encoder: a single
    expert."""

    def make(*there, allow_partial=False, patients=None, **columns):
        rng, ids, features = np.random.default_rng(0), [f"s{k:02d}" for k in range(N)], {}
        for name, rows in zip("xy", there, strict=False):
            features[name] = tmp_path / f"{name}.csv"
            own = {
                "sample_id": [ids[k] for k in rows],
                "f0": rng.normal(size=len(rows)),
                "f1": rng.normal(size=len(rows)),
            }
            pl.DataFrame(own).write_csv(features[name])
        plain = {"label": ["a", "b"] * (N // 2), "patient_id": patients or ids}
        table = {name: one for name, one in (plain | columns).items() if one is not None}
        pl.DataFrame({"sample_id": ids} | table).write_csv(tmp_path / "samples.csv")
        given = features if len(features) > 1 else features["x"]
        recipe = TrainingRecipe.of("linear_probe", folds=2)
        return ExpertSetup(
            "e",
            given,
            tmp_path / "samples.csv",
            tmp_path / "out",
            recipe,
            allow_partial=allow_partial,
        )

    return make


def refused(expert):
    with pytest.raises(InputError) as caught:
        prepare(expert)
    said = str(caught.value)
    assert said.endswith(ADVICE)
    return said.removesuffix(ADVICE).partition(": ")[2]


def test_half_may_drop_out_and_is_counted(expert):
    cohort = prepare(expert(range(10))).cohort
    assert cohort.warnings == ()
    first = ["s10", "s11", "s12", "s13", "s14"]
    counted = {"n": 10, "first": first, "samples": 10, "patients": 10}
    assert list(cohort.left_out) == [
        {"reason": "slide without a feature file", **counted},
        {"reason": "sample without any usable slide", **counted},
    ]


def test_more_than_half_may_not(expert):
    sentence = (
        "11 of 20 samples with a truth (11 of 20 patients) drop out of 'e', all of them because: "
        "slide without a feature file"
    )
    assert refused(expert(range(9))) == sentence
    assert prepare(expert(range(9), allow_partial=True)).cohort.warnings == (sentence,)


def test_patients_count_like_samples(expert):
    """Six of twenty samples, but six of ten patients."""
    patients = [f"p{k}" if k < 9 else "p9" for k in range(N)]
    cohort = expert(range(6, N), patients=patients)
    assert "6 of 20 samples with a truth (6 of 10 patients) drop out of 'e'" in refused(cohort)
    gone = prepare(expert(range(N - 6), patients=patients)).cohort.left_out[0]
    assert (gone["samples"], gone["patients"]) == (6, 1)


def test_the_rows_that_are_judged_may_not(expert):
    roles = ["test" if k < 6 else "fit" for k in range(N)]
    said = refused(expert(range(4, N), split=roles))
    assert said.startswith(
        "4 of 6 samples with a truth of the test rows (4 of 6 patients) drop out of 'e'"
    )
    assert prepare(expert(range(3, N), split=roles)).cohort.warnings == ()


def test_rows_without_a_truth_do_not_count(expert):
    """Twelve of twenty rows lack features, but only two of the ten with a truth."""
    truth = pl.Series([k % 2 if k < 10 else None for k in range(N)], dtype=pl.Int64)
    cohort = prepare(expert(range(2, 10), label_X=truth, label=None)).cohort
    assert cohort.warnings == ()
    cohort = prepare(expert(range(N), label_X=truth, label=None)).cohort
    reason = "sample without a truth: no model is fitted on it"
    counted = {"n": 10, "first": ["s10", "s11", "s12", "s13", "s14"], "samples": 10, "patients": 10}
    assert list(cohort.left_out) == [{"reason": reason, **counted}]


def test_a_fusion_of_features_hears_two_encoders(expert):
    """With one of two encoders a sample is no part of a fusion, though it is masked and predicted."""
    sentence = (
        "11 of 20 samples with a truth (11 of 20 patients) drop out of 'e', all of them because: "
        "slide without features of encoder 'y'"
    )
    assert refused(expert(range(N), range(9))) == sentence
    cohort = prepare(expert(range(N), range(9), allow_partial=True)).cohort
    assert cohort.warnings == (sentence,)
    assert cohort.having.all()
    cohort = prepare(expert(range(N), range(10))).cohort
    (masked,) = cohort.left_out
    assert (masked["n"], masked["samples"], masked["patients"]) == (10, 10, 10)


def test_the_most_frequent_reason_is_named(expert):
    said = refused(expert(range(7, N), range(13)))
    assert said.startswith(
        "14 of 20 samples with a truth (14 of 20 patients) drop out of 'e', 7 of them because: "
    )


def test_slides_count_too(tmp_path):
    """Every patient keeps a slide of three, and is none the less read on a third of what there is."""
    ids = [f"s{k:02d}" for k in range(N)]
    values = np.random.default_rng(0).normal(size=N)
    pl.DataFrame({"sample_id": [f"{name}_1" for name in ids], "f0": values}).write_csv(
        tmp_path / "x.csv"
    )
    pairs = [(name, f"{name}_{k}") for name in ids for k in (1, 2, 3)]
    pl.DataFrame(pairs, schema=["sample_id", "slide_id"], orient="row").write_csv(
        tmp_path / "slides.csv"
    )
    pl.DataFrame({"sample_id": ids, "patient_id": ids, "label": ["a", "b"] * (N // 2)}).write_csv(
        tmp_path / "samples.csv"
    )
    one = ExpertSetup(
        "e",
        tmp_path / "x.csv",
        tmp_path / "samples.csv",
        tmp_path / "out",
        TrainingRecipe.of("linear_probe", folds=2),
        tmp_path / "slides.csv",
    )
    sentence = (
        "40 of 60 slides of samples with a truth drop out of 'e', all of them because: slide without a "
        "feature file"
    )
    assert refused(one) == sentence
    assert prepare(replace(one, allow_partial=True)).cohort.warnings == (sentence,)
