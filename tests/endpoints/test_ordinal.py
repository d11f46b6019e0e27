"""Grades: what is read, what is refused, and a fusion from the command line."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.endpoints.ordinal import Ordinal
from pathfuse.errors import InputError

GRADES = Ordinal(("0", "1", "2", "10"))


def columns(**values):
    n = len(next(iter(values.values())))
    return Columns(
        "t.csv", tuple(f"s{i}" for i in range(n)), {name: np.array(v) for name, v in values.items()}
    )


def test_grades_are_in_the_order_of_numbers():
    found = Ordinal.from_columns(columns(grade=np.array(["10", "2", "0", "1", "2"], dtype=object)))
    assert found == GRADES
    assert endpoint_from_dict(found.as_dict()) == found
    assert Ordinal.target_columns(["sample_id", "grade", "label"]) == ["grade"]


@pytest.mark.parametrize("grade", ["1.5", "II", "-1", "01", "1.0", ""])
def test_a_grade_is_a_whole_number(grade):
    with pytest.raises(InputError, match="must be a whole number"):
        Ordinal.from_columns(columns(grade=np.array(["0", grade, "2"], dtype=object)))


def test_cumulative_logits_are_the_log_odds_of_a_higher_grade():
    above = np.array([[2.0, 0.5, -1.0], [-3.0, -30.0, -300.0], [40.0, 40.0, 40.0]])
    names = ("cumulative_logit_0", "cumulative_logit_1", "cumulative_logit_2")
    found = GRADES.read_expert(columns(**dict(zip(names, above.T, strict=True))), None)["all"]
    prob = np.exp(found.log_prob)
    assert prob.sum(axis=1) == pytest.approx(np.ones(3))
    assert prob[0] == pytest.approx(
        np.diff(np.concatenate([[0], 1 - expit(above[0]), [1]])), abs=1e-6
    )
    assert prob[:, ::-1].cumsum(axis=1)[0, :3][::-1] == pytest.approx(expit(above[0]), abs=1e-6)
    assert np.isfinite(found.log_prob).all()


def test_columns_of_grades_by_name_are_read_as_classes():
    logits = {f"logit_{g}": np.arange(3.0) * k for k, g in enumerate(GRADES.classes)}
    assert GRADES.read_expert(columns(**logits), None)["all"].log_prob.shape == (3, 4)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"0": [1.0], "1": [0.5]}, "need cumulative_logit_0 to cumulative_logit_2"),
        (
            {"0": [1.0], "1": [0.5], "2": [0.0], "10": [0.0]},
            "need cumulative_logit_0 to cumulative_logit_2",
        ),
        (
            {"0": [1.0], "1": [1.5], "2": [0.0]},
            "must not be above 'cumulative_logit_0': a grade above 1 is also one",
        ),
        (
            {"0": [1.0], "1": [0.0], "2": [0.5]},
            "must not be above 'cumulative_logit_1': a grade above 2 is also one",
        ),
        ({"0": [np.nan], "1": [1.5], "2": [0.0]}, "cumulative_logit_0"),
    ],
)
def test_bad_cumulative_columns(values, sentence):
    table = columns(**{f"cumulative_logit_{grade}": np.array(v) for grade, v in values.items()})
    with pytest.raises(InputError, match=sentence):
        GRADES.read_expert(table, None)


def test_one_grade_is_too_few():
    with pytest.raises(InputError, match="all samples have the grade 3; two are needed at least"):
        Ordinal(("3",)).read_expert(columns(cumulative_logit_0=np.array([1.0])), None)


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(0)
    grade = rng.permutation(np.arange(120) % 4)
    ids = [f"s{i:03d}" for i in range(120)]
    split = ["fit"] * 70 + ["test"] * 50
    pl.DataFrame({"sample_id": ids, "grade": grade, "split": split}).write_csv(
        tmp_path / "samples.csv"
    )
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    seen = grade[:, None] + rng.normal(size=(120, 2))
    logits = -((seen[:, [0]] - np.arange(4)) ** 2)
    above = 1.5 * (seen[:, [1]] - np.arange(3) - 0.5)
    for name, prefix, table in (("uni", "logit_", logits), ("conch", "cumulative_logit_", above)):
        own = {f"{prefix}{k}": table[:, k] for k in range(table.shape[1])}
        pl.DataFrame({"sample_id": ids, **own}).write_csv(predictions / f"{name}.csv")
    return tmp_path


@pytest.mark.slow
def test_grades_from_tables_to_report(study, run_cli, quick_inner_folds):
    out = study / "out"
    done = run_cli("fuse", "--samples", study / "samples.csv", "--predictions", study / "predictions", "--out", out,
                   "--resamples", "100")  # fmt: skip
    assert done.status == 0, done.err
    value = {
        (r["method"], r["metric"]): r["value"]
        for r in pl.read_csv(out / "metrics.csv").iter_rows(named=True)
    }
    assert {metric for _, metric in value} >= {
        "nll",
        "quadratic_kappa",
        "rps",
        "grades_apart",
        "auroc",
    }
    for metric in ("rps", "nll"):
        assert value["fused", metric] < min(value["uni", metric], value["conch", metric])
    page = (out / "report.html").read_text()
    assert "a grade, one of several classes in order" in page
    assert "quadratic kappa" in page
    new = study / "new.csv"
    again = run_cli(
        "predict", "--model", out / "model", "--predictions", study / "predictions", "--out", new
    )
    assert again.status == 0, again.err
    assert [c for c in pl.read_csv(new).columns if c.startswith("prob_")] == [
        f"prob_{k}" for k in range(4)
    ]
