"""``fuse --coverage``: conformal sets from the outside, recomputed from what was written."""

import json
import re
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from pathfuse import read_study
from pathfuse.evaluation.reliability import classification_curve
from pathfuse.workflows.steps.fitting import FusionRecipe, divide

OUTPUTS = {"multiclass": ("all",), "multilabel": ("BRAF", "TP53"), "regression": ("CD24", "ERBB2")}
TRUTH = {"multiclass": ("label",), "multilabel": ("label_BRAF", "label_TP53"),
         "regression": ("target_CD24", "target_ERBB2")}  # fmt: skip
COLUMNS = {"multiclass": ["prediction_set"], "multilabel": ["prediction_set_BRAF", "prediction_set_TP53"],
           "regression": ["low_CD24", "high_CD24", "low_ERBB2", "high_ERBB2"]}  # fmt: skip
SET_METRICS = {"coverage", "set_size", "interval_width"}
REPEATED = (
    "fused.parquet",
    "metrics.csv",
    "reliability.csv",
    "model/model.json",
    "model/model.safetensors",
)


def make(kind, n_fit=80, n_test=60, *, folds=0):
    """Two rows per patient and a hard task, so that some sets hold several outcomes and some miss
    the truth."""
    rng, n = np.random.default_rng(7), n_fit + n_test
    patient, ids = np.arange(n) // 2, [f"s{i:03d}" for i in range(n)]
    columns = {"sample_id": ids, "patient_id": [f"p{p:02d}" for p in patient]}
    columns |= (
        {"fold": patient // 3 % folds} if folds else {"split": ["fit"] * n_fit + ["test"] * n_test}
    )
    if kind == "multiclass":
        signal, truths = np.eye(3)[patient % 3], [[f"class {c}" for c in patient % 3]]
        names = [f"logit_class {c}" for c in range(3)]
    elif kind == "multilabel":
        truth = (rng.random((n, 2)) < 0.5)[patient]
        signal, blank = 0.8 * truth - 0.4, rng.random((n, 2)) < 0.1
        truths = [[None if blank[i, j] else int(truth[i, j]) for i in range(n)] for j in range(2)]
        names = ["logit_BRAF", "logit_TP53"]
    else:
        signal = rng.normal([1.0, 4.0], size=(n, 2))
        truths, names = list(signal.T), ["mean_CD24", "mean_ERBB2"]
    experts = {}
    for m in range(3):
        said = signal + rng.normal(size=signal.shape) * (1.2 + 0.3 * m)
        experts[f"expert_{m}"] = pl.DataFrame(
            {"sample_id": ids, **dict(zip(names, said.T, strict=True))}
        )
    samples = pl.DataFrame({**columns, **dict(zip(TRUTH[kind], truths, strict=True))})
    return SimpleNamespace(samples=samples, experts=experts)


@pytest.fixture(scope="module")
def fuse(run_cli, write_study, tmp_path_factory):
    """``fuse(study, *more)`` runs, asserts that it went well, gives the folder of ``out`` and
    ``predictions`` back."""

    def run(study, *more):
        place = tmp_path_factory.mktemp("run")
        samples, predictions = write_study(place, study)
        given = (
            "--samples",
            samples,
            "--predictions",
            predictions,
            "--out",
            place / "out",
            "--resamples",
            120,
        )
        status, _, err = run_cli("fuse", *given, *more)
        assert status == 0, err
        return place

    return run


@pytest.fixture(scope="module", params=OUTPUTS)
def run(request, fuse):
    """A kind of study, the study, and where it was fused with ``--coverage``."""
    return request.param, make(request.param), fuse(make(request.param), "--coverage", 0.8)


def check_metrics(kind, study, out):
    """Coverage and size from fused.parquet: by fold, weighed by patients; ``all`` is the mean over
    outputs."""
    size_name = "interval_width" if kind == "regression" else "set_size"
    rows = pl.read_csv(out / "metrics.csv").filter(pl.col("metric").is_in(SET_METRICS))
    values = {
        tuple(key): v for *key, v in rows.select("method", "output", "metric", "value").iter_rows()
    }
    assert values.keys() == {
        ("fused", o, m) for o in {*OUTPUTS[kind], "all"} for m in ("coverage", size_name)
    }
    table = pl.read_parquet(out / "fused.parquet").join(
        study.samples, on="sample_id", validate="1:1"
    )
    fold, means = "fold" if "fold" in table.columns else "split", []
    for j, (output, truth) in enumerate(zip(OUTPUTS[kind], TRUTH[kind], strict=True)):
        if kind == "regression":
            low, high = (pl.col(name) for name in COLUMNS[kind][2 * j : 2 * j + 2])
            hit, size = pl.col(truth).is_between(low, high), high - low
        else:
            members = pl.col(COLUMNS[kind][j])
            hit, size = members.list.contains(pl.col(truth).cast(pl.String)), members.list.len()
        known = table.filter(pl.col(truth).is_not_null()).with_columns(
            hit=hit.cast(float), size=size.cast(float)
        )
        by_fold = known.group_by(fold).agg(
            pl.col("patient_id").n_unique(), pl.col("hit", "size").mean()
        )
        means.append(
            [np.average(by_fold[x], weights=by_fold["patient_id"]) for x in ("hit", "size")]
        )
        assert [values["fused", output, m] for m in ("coverage", size_name)] == pytest.approx(
            means[-1], rel=1e-9
        )
        assert set(rows.filter(pl.col("output") == output)["n"]) == {known.height}
        assert known["hit"].n_unique() == 2, "the task is too easy to tell"
        assert known["size"].n_unique() > (kind != "regression"), "the task is too easy to tell"
    assert [values["fused", "all", m] for m in ("coverage", size_name)] == pytest.approx(
        np.mean(means, axis=0), rel=1e-9
    )


def test_sets_and_their_metrics(run):
    kind, study, place = run
    table = pl.read_parquet(place / "out/fused.parquet")
    check_metrics(kind, study, place / "out")
    conformal = json.loads((place / "out/model/model.json").read_text())["conformal"]
    assert {sets["coverage"] for sets in conformal.values()} == {0.8}
    assert [
        name for name in table.columns if name.startswith(("prediction_set", "low_", "high_"))
    ] == COLUMNS[kind]
    for j, output in enumerate(OUTPUTS[kind]):
        if kind == "regression":
            middle, reach = (
                table[f"mean_{output}"],
                conformal["all"]["width_sd"][j] * table[f"sd_{output}"],
            )
            np.testing.assert_allclose(table[f"low_{output}"], middle - reach, atol=1e-9)
            np.testing.assert_allclose(table[f"high_{output}"], middle + reach, atol=1e-9)
            continue
        prob, names = (
            table.select(pl.selectors.matches(r"^prob_class .$")).to_numpy(),
            ["class 0", "class 1", "class 2"],
        )
        if kind == "multilabel":
            prob, names = (
                np.stack([1 - table[f"prob_{output}"], table[f"prob_{output}"]], axis=1),
                ["0", "1"],
            )
        inside = (prob >= conformal[output]["threshold"] - 1e-9) | (
            prob == prob.max(axis=1, keepdims=True)
        )
        assert table.schema[COLUMNS[kind][j]] == pl.List(pl.String)
        assert table[COLUMNS[kind][j]].to_list() == [
            [names[k] for k in np.flatnonzero(row)] for row in inside
        ]


def test_calibration_rows_take_no_part_in_the_fit_and_without_coverage_there_are_no_sets(run, fuse):
    kind, study, place = run
    read, samples = read_study(study.samples, study.experts), study.samples
    for task in read.endpoint.tasks:
        fit = read.scored(task, np.flatnonzero(read.samples.roles == "fit"))
        calibrating = divide(read, task, fit, FusionRecipe(coverage=0.8))[1]
        assert len(calibrating) > 10
        here = pl.col("sample_id").is_in(read.samples.ids[calibrating].tolist())
        name, gone = (
            ("split", "train") if task == "all" else (f"label_{task}", None)
        )  # labels have rows of their own
        samples = samples.with_columns(
            pl.when(here).then(pl.lit(gone)).otherwise(pl.col(name)).alias(name)
        )
    out = fuse(SimpleNamespace(samples=samples, experts=study.experts)) / "out"
    table = pl.read_parquet(place / "out/fused.parquet").drop(COLUMNS[kind])
    assert table.equals(pl.read_parquet(out / "fused.parquet"))
    assert not set(pl.read_csv(out / "metrics.csv")["metric"]) & SET_METRICS
    assert "promised coverage" not in (out / "report.html").read_text()


def test_predict_repeats_the_run(run, run_cli, tmp_path):
    kind, _, place = run
    fused = pl.read_parquet(place / "out/fused.parquet")
    for name in ("all.parquet", "all.csv"):
        given = (
            "--model",
            place / "out",
            "--predictions",
            place / "predictions",
            "--out",
            tmp_path / name,
        )
        assert run_cli("predict", *given).status == 0
    judged = pl.col("sample_id").is_in(fused["sample_id"].to_list())
    again = pl.read_parquet(tmp_path / "all.parquet").filter(judged)
    assert again.drop("seen_in_fit").equals(fused)
    assert not again["seen_in_fit"].any()
    table = pl.read_csv(tmp_path / "all.csv", infer_schema=False).filter(judged)
    for name in COLUMNS[kind] if kind != "regression" else []:
        assert table[name].to_list() == ["|".join(members) for members in fused[name].to_list()]


def test_a_second_run_gives_the_same_bytes(run, fuse):
    again = fuse(run[1], "--coverage", 0.8) / "out"
    for name in REPEATED:
        assert (again / name).read_bytes() == (run[2] / "out" / name).read_bytes(), name


def test_reliability_and_report(run):
    kind, study, place = run
    assert "promised coverage 0.8" in (place / "out/report.html").read_text()
    table = pl.read_csv(place / "out/reliability.csv")
    assert table.columns == ["method", "output", "what", "expected", "observed", "n"]
    assert {(m, o) for m in ("best_expert", "fused") for o in OUTPUTS[kind]} <= set(
        table[:, :2].iter_rows()
    )
    if kind == "multiclass":
        fused = pl.read_parquet(place / "out/fused.parquet").join(
            study.samples, on="sample_id", maintain_order="left"
        )
        truth = np.eye(3, dtype=bool)[[int(label[-1]) for label in fused["label"]]]
        curve = classification_curve(
            np.log(fused.select(pl.selectors.starts_with("prob_")).to_numpy()), truth
        )
        own = (
            table.filter(pl.col("method") == "fused").select("expected", "observed", "n").to_numpy()
        )
        np.testing.assert_allclose(
            own, np.stack([curve.expected, curve.observed, curve.n], axis=1), atol=1e-9
        )


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
@pytest.mark.slow
def test_folds(fuse, kind):
    study = make(kind, 70, 70, folds=2)
    out = fuse(study, "--coverage", 0.8) / "out"
    check_metrics(kind, study, out)
    split = (
        pl.when(pl.col("fold") == 1).then(pl.lit("fit")).otherwise(pl.lit("test")).alias("split")
    )
    study.samples = study.samples.with_columns(split).drop("fold")
    one = pl.read_parquet(fuse(study, "--coverage", 0.8) / "out/fused.parquet")
    other = pl.read_parquet(out / "fused.parquet").join(one, on="sample_id", how="semi")
    assert other.equals(one)  # every fold's sets are calibrated on rows of the other folds


@pytest.mark.parametrize(
    ("more", "words"),
    [
        *((value, "between 0 and 1") for value in ("0", "1", "1.5", "nan")),
        ("abc", "abc"),
        ("0.8 --unit patient", "--unit patient"),
        ("0.99", "needs at least"),
        ("0.8 --time-edges 0,30", "not built for survival"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    run_cli, write_study, tmp_path, more, words
):
    study = make("multiclass", 40, 20)
    if "--time-edges" in more:
        study.samples = study.samples.drop("label").with_columns(
            time=1 + pl.int_range(60) % 20, event=1
        )
        study.experts = {"expert": study.samples.select("sample_id", hazard_1=pl.col("time") / 50)}
    samples, predictions = write_study(tmp_path, study)
    before = sorted(tmp_path.rglob("*"))
    given = ("--samples", samples, "--predictions", predictions, "--out", tmp_path / "out")
    status, out, err = run_cli("fuse", *given, "--coverage", *more.split())
    assert (status, out) == (2, "")
    *progress, sentence = err.splitlines()
    assert re.fullmatch(rf"pathfuse: .*--coverage.*{words}.*", sentence)
    assert all(re.fullmatch(r" *\d+ % .+", line) for line in progress)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sparse_label_loses_its_sets_and_not_the_run(tmp_path, run_cli):
    """Twelve known fit rows of one label: a quarter of them cannot promise 0.8."""
    rng = np.random.default_rng(0)
    n = 160
    ids, truth = [f"s{i:03d}" for i in range(n)], rng.random((n, 2)) < 0.5
    sparse = [str(int(v)) if i < 12 or i >= 80 else None for i, v in enumerate(truth[:, 1])]
    split = ["fit"] * 80 + ["test"] * 80
    pl.DataFrame(
        {"sample_id": ids, "split": split, "label_A": truth[:, 0].astype(int), "label_B": sparse}
    ).write_csv(tmp_path / "samples.csv")
    (tmp_path / "p").mkdir()
    for name in ("one", "two"):
        logits = 2.0 * truth - 1 + rng.normal(size=(n, 2))
        pl.DataFrame(
            {"sample_id": ids, "logit_A": logits[:, 0], "logit_B": logits[:, 1]}
        ).write_csv(tmp_path / f"p/{name}.csv")
    out = tmp_path / "out"
    given = (
        "--samples",
        tmp_path / "samples.csv",
        "--predictions",
        tmp_path / "p",
        "--out",
        out,
        "--resamples",
        120,
    )
    said = run_cli("fuse", *given, "--coverage", 0.8)
    assert said.status == 0
    assert "label 'B' has no prediction sets" in said.err
    columns = pl.read_parquet(out / "fused.parquet").columns
    assert ("prediction_set_A" in columns, "prediction_set_B" in columns) == (True, False)
    outputs = (
        pl.read_csv(out / "metrics.csv").filter(pl.col("metric") == "coverage")["output"].to_list()
    )
    assert outputs == ["A", "all"]
