"""Several labels from the outside: a fusion, metrics and a certificate per label, blanks, and what
is refused."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from pathfuse.fusion.methods import methods_of

LABELS = ("CDH1", "PIK3CA", "TP53")
EXPERTS = ("expert_0", "expert_1", "expert_2")
FITTED = tuple(methods_of("multilabel"))
METRICS = ("nll", "auroc", "accuracy", "balanced_accuracy", "f1", "brier", "ece", "auprc", "mcc")
PROGRESS = re.compile(r" *\d+ % .+")
FIT = pl.col("split") == "fit"


class Study(NamedTuple):
    samples: pl.DataFrame
    experts: dict[str, pl.DataFrame]


def simulate(n_fit=50, n_test=40, seed=0, *, n_folds=0, per_patient=1, blanks=0.1):
    """Labels of different frequency, a tenth of them blank; experts that are each better at one of
    them."""
    rng = np.random.default_rng(seed)
    n = n_fit + n_test
    unit = np.arange(n) // per_patient
    truth = (rng.random((n, 3)) < [0.3, 0.5, 0.6])[unit].astype(int)
    ids = [f"s{i:03d}" for i in range(n)]
    columns = {"sample_id": ids, "patient_id": [f"p{u}" for u in unit]}
    columns |= (
        {"fold": unit % n_folds} if n_folds else {"split": ["fit"] * n_fit + ["test"] * n_test}
    )
    gone = (rng.random((n, 3)) < blanks)[unit]
    for j, name in enumerate(LABELS):
        columns[f"label_{name}"] = [
            None if g else int(t) for t, g in zip(truth[:, j], gone[:, j], strict=True)
        ]
    experts = {}
    for m, name in enumerate(EXPERTS):
        odds = 2.0 * truth - 1 + rng.normal(size=(n, 3)) * np.where(np.arange(3) == m, 0.7, 1.8)
        experts[name] = pl.DataFrame(
            {"sample_id": ids, **{f"logit_{x}": odds[:, j] for j, x in enumerate(LABELS)}}
        )
    experts["expert_1"] = experts["expert_1"].filter(pl.Series(rng.random(n) < 0.9))
    return Study(pl.DataFrame(columns), experts)


@pytest.fixture(scope="module")
def study():
    return simulate()


@pytest.fixture(scope="module")
def files(tmp_path_factory, study, write_study):
    return write_study(tmp_path_factory.mktemp("study"), study)


@pytest.fixture(scope="module")
def fuse(run_cli, tmp_path_factory):
    """``fuse(samples, predictions, *more)`` runs, asserts that it went well, gives the output
    folder back."""

    def run(samples, predictions, *more):
        out = tmp_path_factory.mktemp("run") / "out"
        given = (
            "--samples",
            samples,
            "--predictions",
            predictions,
            "--out",
            out,
            "--resamples",
            120,
        )
        status, _, err = run_cli("fuse", *given, *more)
        assert status == 0, err
        return out

    return run


@pytest.fixture(scope="module")
def fused(fuse, files):
    """One plain run."""
    return fuse(*files)


def value_of(out, output, metric="nll", method="fused"):
    rows = pl.read_csv(out / "metrics.csv").filter(
        (pl.col("method") == method) & (pl.col("output") == output) & (pl.col("metric") == metric)
    )
    return rows["value"].item()


def truth_beside(out, study, label):
    table = pl.read_parquet(out / "fused.parquet").join(
        study.samples, on="sample_id", maintain_order="left"
    )
    return table.filter(pl.col(f"label_{label}").is_not_null())


# What fuse writes


def test_fused_parquet(fused, study):
    table = pl.read_parquet(fused / "fused.parquet")
    weights = [f"weight_{name}" for name in EXPERTS]
    assert table.columns == [
        "sample_id",
        *(f"prob_{x}" for x in LABELS),
        "prediction",
        *weights,
        "n_experts",
    ]
    assert (
        table["sample_id"].to_list() == study.samples.filter(~FIT)["sample_id"].to_list()
    )  # blanks are fused too
    prob = table.select(f"prob_{x}" for x in LABELS).to_numpy()
    assert np.all((prob > 0) & (prob < 1))
    called = [";".join(x for j, x in enumerate(LABELS) if row[j] >= 0.5) for row in prob]
    assert table["prediction"].to_list() == called
    np.testing.assert_allclose(table.select(weights).to_numpy().sum(axis=1), 1, rtol=1e-12)
    absent = ~table["sample_id"].is_in(study.experts["expert_1"]["sample_id"].implode())
    assert 0 < absent.sum() < 15
    assert set(table.filter(absent)["weight_expert_1"]) == {0}
    assert table["n_experts"].to_list() == (3 - absent.cast(int)).to_list()


def test_metrics_csv(fused, study):
    table = pl.read_csv(fused / "metrics.csv")
    methods = (*EXPERTS, *FITTED, "null_model", "fused")
    expected = {(m, o, x) for m in methods for o in (*LABELS, "all") for x in METRICS}
    assert set(table.select("method", "output", "metric").iter_rows()) == expected
    assert table.height == len(expected)
    for label in LABELS:
        known = truth_beside(fused, study, label)
        assert known.height < 40
        of_label = table.filter((pl.col("output") == label) & (pl.col("method") == "fused"))
        assert set(of_label["n"]) == {known.height}
        truth, prob = known[f"label_{label}"].to_numpy(), known[f"prob_{label}"].to_numpy()
        assert value_of(fused, label) == pytest.approx(log_loss(truth, prob), rel=1e-9)
        assert value_of(fused, label, "auroc") == pytest.approx(
            roc_auc_score(truth, prob), rel=1e-9
        )
        assert value_of(fused, label, "accuracy") == pytest.approx(
            ((prob >= 0.5) == truth).mean(), rel=1e-9
        )
        assert value_of(fused, label, "brier") == pytest.approx(
            2 * ((prob - truth) ** 2).mean(), rel=1e-9
        )


@pytest.mark.parametrize("method", ["fused", "expert_1", "best_expert"])
def test_all_is_the_macro_average(fused, method):
    for metric in METRICS:
        mean = np.mean([value_of(fused, label, metric, method) for label in LABELS])
        assert value_of(fused, "all", metric, method) == pytest.approx(mean, rel=1e-12)


def test_comparisons_csv(fused):
    table = pl.read_csv(fused / "comparisons.csv")
    assert set(table["output"]) == {*LABELS, "all"}
    row = table.filter(
        (pl.col("method") == "fused") & (pl.col("reference") == "best_expert")
        & (pl.col("output") == "TP53") & (pl.col("metric") == "nll")
    ).row(0, named=True)  # fmt: skip
    difference = value_of(fused, "TP53") - value_of(fused, "TP53", method="best_expert")
    assert row["difference"] == pytest.approx(difference, abs=1e-12)


def test_every_label_has_its_certificate(fused):
    certificate = json.loads((fused / "certificate.json").read_text())
    assert certificate["holds"]
    assert set(certificate["outputs"]) == set(LABELS)
    for own in certificate["outputs"].values():
        assert own["holds"]
        assert own["fused"] <= min(own["experts"].values()) + 1e-9
        assert own["best_expert"] == min(own["experts"], key=own["experts"].get)
    assert certificate["fused"] == pytest.approx(
        np.mean([own["fused"] for own in certificate["outputs"].values()])
    )
    assert certificate["outputs"]["CDH1"]["best_expert"] == "expert_0"
    assert (
        certificate["outputs"]["TP53"]["best_expert"] == "expert_2"
    )  # each label has an expert of its own


def test_the_certificates_are_those_of_the_model_on_the_fit_rows(
    fused, files, study, run_cli, tmp_path
):
    out = tmp_path / "all.csv"
    assert run_cli("predict", "--model", fused, "--predictions", files[1], "--out", out).status == 0
    table = pl.read_csv(out).join(study.samples.filter(FIT), on="sample_id")
    certificate = json.loads((fused / "certificate.json").read_text())
    for label in LABELS:
        known = table.filter(pl.col(f"label_{label}").is_not_null())
        nll = log_loss(known[f"label_{label}"].to_numpy(), known[f"prob_{label}"].to_numpy())
        assert certificate["outputs"][label]["fused"] == pytest.approx(nll, rel=1e-9)


def test_predict_repeats_the_run_bit_for_bit(fused, files, run_cli, tmp_path):
    whole = pl.read_parquet(fused / "fused.parquet")
    assert (
        run_cli(
            "predict", "--model", fused, "--predictions", files[1], "--out", tmp_path / "a.parquet"
        ).status
        == 0
    )
    again = pl.read_parquet(tmp_path / "a.parquet")
    assert (
        again.drop("seen_in_fit")
        .filter(pl.col("sample_id").is_in(whole["sample_id"].implode()))
        .equals(whole)
    )


@pytest.mark.slow
def test_probabilities_in_place_of_log_odds_give_the_same(
    files, fused, fuse, study, write_study, tmp_path
):
    def plain(frame):
        return frame.select(
            "sample_id",
            *((1 / (1 + (-pl.col(f"logit_{x}")).exp())).alias(f"prob_{x}") for x in LABELS),
        )

    other = Study(study.samples, {name: plain(frame) for name, frame in study.experts.items()})
    out = fuse(*write_study(tmp_path, other, ".parquet"))
    names = [f"prob_{x}" for x in LABELS]
    one, two = (pl.read_parquet(o / "fused.parquet").select(names).to_numpy() for o in (fused, out))
    np.testing.assert_allclose(one, two, rtol=1e-3)


# Ways to run


@pytest.mark.parametrize("method", ["logitprod", "choose"])
@pytest.mark.slow
def test_other_methods(fuse, files, method):
    out = fuse(*files, "--method", method)
    inner = json.loads((out / "manifest.json").read_text())["inner_cross_validation"][0]
    for label in LABELS:
        name = inner[label]["chosen"] if method == "choose" else method
        assert value_of(out, label) == value_of(out, label, method=name)


@pytest.mark.slow
def test_folds(fuse, write_study, tmp_path):
    study = simulate(n_folds=2, per_patient=2)
    out = fuse(*write_study(tmp_path, study))
    table = pl.read_parquet(out / "fused.parquet")
    assert table["sample_id"].to_list() == study.samples["sample_id"].to_list()
    certificate = json.loads((out / "certificate.json").read_text())
    assert certificate["holds"]
    assert set(certificate["folds"]) == {"0", "1"}
    assert set(certificate["folds"]["0"]["outputs"]) == set(LABELS)
    known = truth_beside(out, study, "TP53")
    parts = [
        (
            part["patient_id"].n_unique(),
            log_loss(part["label_TP53"].to_numpy(), part["prob_TP53"].to_numpy()),
        )
        for part in known.partition_by("fold")
    ]
    weights, values = zip(*parts, strict=True)
    assert value_of(out, "TP53") == pytest.approx(np.average(values, weights=weights), rel=1e-9)


@pytest.mark.slow
def test_unit_patient(fuse, write_study, tmp_path):
    study = simulate(per_patient=2)
    out = fuse(*write_study(tmp_path, study), "--unit", "patient")
    rows = pl.read_csv(out / "metrics.csv").filter(
        (pl.col("output") == "TP53") & (pl.col("method") == "fused")
    )
    patients = study.samples.filter(~FIT & pl.col("label_TP53").is_not_null())[
        "patient_id"
    ].n_unique()
    assert set(rows["n"]) == set(rows["n_patients"]) == {patients}


@pytest.mark.slow
def test_evaluate(files, fused, run_cli, tmp_path):
    given = (
        "--samples",
        files[0],
        "--predictions",
        files[1],
        "--out",
        tmp_path / "out",
        "--resamples",
        120,
    )
    status, _, err = run_cli("evaluate", *given)
    assert status == 0, err
    for name in (*EXPERTS, "best_expert", "uniform_product"):
        for output in (*LABELS, "all"):
            assert value_of(tmp_path / "out", output, "auroc", name) == value_of(
                fused, output, "auroc", name
            )


@pytest.mark.slow
def test_blanks_add_nothing(fuse, fused, study, write_study, tmp_path):
    """A label's blank rows are as if they were not there: the other labels stay as they are, to the
    last bit."""
    gone = pl.when(pl.col("sample_id") < "s010").then(None).otherwise(pl.col("label_TP53"))
    out = fuse(
        *write_study(tmp_path, Study(study.samples.with_columns(label_TP53=gone), study.experts))
    )
    for label in ("CDH1", "PIK3CA"):
        assert value_of(out, label) == value_of(fused, label)
    assert value_of(out, "TP53") != value_of(fused, "TP53")
    assert value_of(out, "TP53", method="expert_0") == value_of(fused, "TP53", method="expert_0")


# Labels that cannot be fused


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.slow
def test_a_label_with_one_value_is_left_out_and_the_rest_goes_on(
    fuse, fused, study, write_study, run_cli, tmp_path, value
):
    known = FIT & pl.col("label_PIK3CA").is_not_null()
    samples = study.samples.with_columns(
        label_PIK3CA=pl.when(known).then(pl.lit(value, pl.Int64)).otherwise(pl.col("label_PIK3CA"))
    )
    files = write_study(tmp_path, Study(samples, study.experts))
    out = fuse(*files)  # exit status 0
    warnings = json.loads((out / "manifest.json").read_text())["warnings"]
    (warning,) = (one for one in warnings if "was not fused" in one)
    n = samples.filter(known).height
    assert warning == f"label 'PIK3CA' was not fused: all {n} fit rows that have it are {value}"
    outputs = pl.read_csv(out / "metrics.csv")["output"].unique().to_list()
    assert sorted(outputs) == ["CDH1", "TP53", "all"]
    for label in ("CDH1", "TP53"):
        assert value_of(out, label) == value_of(fused, label)
    table = pl.read_parquet(out / "fused.parquet")
    assert table["prob_PIK3CA"].null_count() == table.height
    assert not table["prediction"].str.contains("PIK3CA").any()
    assert set(json.loads((out / "certificate.json").read_text())["outputs"]) == {"CDH1", "TP53"}
    assert (
        run_cli(
            "predict", "--model", out, "--predictions", files[1], "--out", tmp_path / "a.parquet"
        ).status
        == 0
    )
    again = pl.read_parquet(tmp_path / "a.parquet")
    again = again.drop("seen_in_fit")
    assert again.filter(pl.col("sample_id").is_in(table["sample_id"].implode())).equals(table)


@pytest.mark.slow
def test_a_label_with_one_value_in_one_fold_is_left_out_of_all_and_its_predictions_can_be_judged(
    fuse, write_study, run_cli, tmp_path
):
    study = simulate(n_folds=3)
    other = pl.when(pl.col("fold") == 1).then(pl.col("label_CDH1")).otherwise(0)
    files = write_study(
        tmp_path, Study(study.samples.with_columns(label_CDH1=other), study.experts)
    )
    out = fuse(*files, "--method", "uniform_product")
    warning, *_ = json.loads((out / "manifest.json").read_text())["warnings"]
    assert warning == "label 'CDH1' was not fused: all 60 fit rows of fold 1 that have it are 0"
    again = tmp_path / "again.csv"
    assert run_cli("predict", "--model", out, "--predictions", files[1], "--out", again).status == 0
    status, _, err = run_cli(
        "evaluate", "--samples", files[0], "--predictions", again, "--out", tmp_path / "judged"
    )
    assert status == 0, err
    outputs = pl.read_csv(tmp_path / "judged/metrics.csv").filter(method="again", metric="nll")[
        "output"
    ]
    assert {"PIK3CA", "TP53"} <= set(outputs)


@pytest.mark.slow
def test_the_warning_reaches_the_user(study, write_study, run_cli, tmp_path):
    samples, predictions = write_study(
        tmp_path, Study(study.samples.with_columns(label_TP53=1), study.experts)
    )
    given = (
        "--samples",
        samples,
        "--predictions",
        predictions,
        "--out",
        tmp_path / "out",
        "--resamples",
        120,
    )
    status, _, err = run_cli("fuse", *given)
    assert status == 0
    assert (
        "pathfuse: warning: label 'TP53' was not fused: all 50 fit rows that have it are 1"
        in err.splitlines()
    )


def test_one_label_remains(fuse, study, write_study, tmp_path):
    out = fuse(
        *write_study(
            tmp_path, Study(study.samples.with_columns(label_TP53=1, label_CDH1=0), study.experts)
        )
    )
    assert len(json.loads((out / "manifest.json").read_text())["warnings"]) == 2
    assert value_of(out, "PIK3CA") > 0
    assert json.loads((out / "certificate.json").read_text())["holds"]


@pytest.mark.slow
def test_a_label_that_is_blank_on_all_fit_rows(fuse, study, write_study, tmp_path):
    gone = pl.when(FIT).then(None).otherwise(pl.col("label_CDH1"))
    out = fuse(
        *write_study(tmp_path, Study(study.samples.with_columns(label_CDH1=gone), study.experts))
    )
    warning, *_ = json.loads((out / "manifest.json").read_text())["warnings"]
    assert warning == "label 'CDH1' was not fused: no fit row has both a truth and a prediction"


@pytest.mark.slow
def test_a_label_that_no_expert_knows(fuse, study, write_study, tmp_path):
    experts = {name: frame.drop("logit_CDH1") for name, frame in study.experts.items()}
    out = fuse(*write_study(tmp_path, Study(study.samples, experts)))
    warning, *_ = json.loads((out / "manifest.json").read_text())["warnings"]
    assert warning.startswith("label 'CDH1' was not fused")


@pytest.mark.slow
def test_a_label_with_one_value_on_the_test_rows(fuse, study, write_study, tmp_path):
    """It is fused; what one class leaves undefined is an empty cell with a note."""
    samples = study.samples.with_columns(
        label_CDH1=pl.when(~FIT).then(0).otherwise(pl.col("label_CDH1"))
    )
    out = fuse(*write_study(tmp_path, Study(samples, study.experts)))
    assert value_of(out, "CDH1", "auroc") is None
    assert value_of(out, "CDH1") > 0
    mean = np.mean([value_of(out, label, "auroc") for label in ("PIK3CA", "TP53")])
    assert value_of(out, "all", "auroc") == pytest.approx(mean, rel=1e-12)
    notes = json.loads((out / "manifest.json").read_text())["notes"]
    assert any(note.startswith("CDH1: auroc of ") and " is undefined: " in note for note in notes)


@pytest.mark.slow
def test_a_label_that_is_blank_on_all_test_rows(fuse, study, write_study, tmp_path):
    gone = pl.when(~FIT).then(None).otherwise(pl.col("label_CDH1"))
    out = fuse(
        *write_study(tmp_path, Study(study.samples.with_columns(label_CDH1=gone), study.experts))
    )
    assert pl.read_parquet(out / "fused.parquet")["prob_CDH1"].null_count() == 0


@pytest.mark.slow
def test_a_label_that_is_blank_in_one_fold(fuse, write_study, tmp_path):
    study = simulate(n_folds=3)
    gone = pl.when(pl.col("fold") == 0).then(None).otherwise(pl.col("label_CDH1"))
    out = fuse(
        *write_study(tmp_path, Study(study.samples.with_columns(label_CDH1=gone), study.experts))
    )
    assert value_of(out, "CDH1") > 0


@pytest.mark.slow
def test_an_expert_that_does_not_know_every_label(fuse, study, write_study, tmp_path):
    experts = {**study.experts, "expert_0": study.experts["expert_0"].drop("logit_TP53")}
    out = fuse(*write_study(tmp_path, Study(study.samples, experts)))
    assert value_of(out, "CDH1", method="expert_0") > 0
    assert json.loads((out / "certificate.json").read_text())["holds"]


# Bad input


class Place(NamedTuple):
    """A study to be spoiled."""

    folder: Path
    samples: Path
    predictions: Path

    @property
    def expert(self):
        return self.predictions / "expert_0.csv"

    def edit(self, file, *columns):
        pl.read_csv(file).with_columns(*columns).write_csv(file)

    def content(self):
        return {p: p.read_bytes() if p.is_file() else None for p in self.folder.rglob("*")}


@pytest.fixture
def place(tmp_path, write_study, study):
    return Place(tmp_path, *write_study(tmp_path, study))


@pytest.fixture
def refused(place, run_cli):
    """Asserts status 2, one sentence with these parts in this order, and nothing written."""

    def check(*parts, more=(), command="fuse"):
        before = place.content()
        given = (
            "--samples",
            place.samples,
            "--predictions",
            place.predictions,
            "--out",
            place.folder / "out",
        )
        status, out, err = run_cli(command, *given, "--resamples", 120, *more)
        assert (status, out) == (2, "")
        *earlier, sentence = err.splitlines()
        assert all(PROGRESS.fullmatch(line) for line in earlier)
        assert sentence.startswith("pathfuse: ")
        at = 0
        for part in map(str, parts):
            assert part in sentence[at:], f"{part!r} is not in {sentence[at:]!r}"
            at = sentence.index(part, at) + len(part)
        assert place.content() == before

    return check


@pytest.mark.parametrize("value", ["2", "-1", "0.5"])
@pytest.mark.parametrize("command", ["fuse", "evaluate"])
def test_a_value_that_is_neither_0_nor_1(place, refused, value, command):
    here = pl.col("sample_id") == "s004"
    place.edit(
        place.samples,
        pl.when(here)
        .then(pl.lit(value))
        .otherwise(pl.col("label_TP53").cast(pl.String))
        .alias("label_TP53"),
    )
    refused(
        place.samples,
        "column 'label_TP53'",
        "sample 's004'",
        f"{value} is neither 1, 0 nor empty",
        command=command,
    )


def test_a_value_in_words(place, refused):
    here = pl.col("sample_id") == "s004"
    place.edit(
        place.samples,
        pl.when(here)
        .then(pl.lit("mutated"))
        .otherwise(pl.col("label_TP53").cast(pl.String))
        .alias("label_TP53"),
    )
    refused(place.samples, "column 'label_TP53'", "sample 's004'", "'mutated' is not a number")


def test_no_label_can_be_fused(place, refused):
    place.edit(place.samples, *(pl.lit(1).alias(f"label_{x}") for x in LABELS))
    refused(place.samples, "no label can be fused", "all 50 fit rows that have it are 1")


def test_a_column_of_no_label(place, refused):
    pl.read_csv(place.expert).rename({"logit_TP53": "logit_KRAS"}).write_csv(place.expert)
    refused(place.expert, "column 'logit_KRAS'", "no column 'label_KRAS'", ", ".join(LABELS))


def test_one_label_twice(place, refused):
    place.edit(place.expert, pl.lit(0.5).alias("prob_TP53"))
    refused(place.expert, "both 'logit_TP53' and 'prob_TP53'")


def test_log_odds_under_the_name_of_probabilities(place, refused):
    pl.read_csv(place.expert).rename({"logit_TP53": "prob_TP53"}).write_csv(place.expert)
    refused(place.expert, "column 'prob_TP53'", "not a probability between 0 and 1", "'logit_TP53'")


def test_a_blank_prediction(place, refused):
    place.edit(
        place.expert,
        pl.when(pl.col("sample_id") == "s004")
        .then(None)
        .otherwise(pl.col("logit_TP53"))
        .alias("logit_TP53"),
    )
    refused(place.expert, "column 'logit_TP53'", "sample 's004'", "leave the row out")


def test_targets_of_two_endpoints(place, refused):
    place.edit(place.samples, pl.lit("a").alias("label"))
    refused(
        place.samples, "target columns of several endpoints", "--endpoint multiclass|multilabel"
    )


def test_a_gate_per_bin_needs_bins(refused):
    refused("--gate per_bin is for survival", more=("--gate", "per_bin"))


def test_the_hazard_product_needs_hazards(refused):
    refused(
        "method 'hazard_product' is not for this endpoint",
        "logitprod",
        more=("--method", "hazard_product"),
    )
