"""The commands from the outside: what they write, and that nothing but the input decides it.

See docs/reference/commands.md.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import pathfuse
from pathfuse.files.tables import read_table
from pathfuse.fusion.methods import methods_of

RESAMPLES = 120
ARGUMENTS = ("--resamples", RESAMPLES, "--seed", 0)
CLASSES = ("adipose", "stroma", "tumor")
EXPERTS = ("expert_0", "expert_1", "expert_2")
FITTED = tuple(methods_of("multiclass"))
UNFITTED = tuple(name for name, kind in methods_of("multiclass").items() if not kind.fits)
METRICS = ("nll", "auroc", "accuracy", "balanced_accuracy", "f1", "brier", "ece", "auprc", "mcc")
DECISIONS = ("confusion", "decision_curves", "decision_differences")
DECISION_TABLES = {
    *("confusion.csv", "decision_curves.csv", "operating_points.csv", "utility.csv"),
}
FIGURES = (
    "ranking",
    "differences",
    "roc",
    "reliability",
    "weights_by_sample",
    "weights",
    "disagreement",
    "distributions",
    "calibration_curves",
    *DECISIONS,
    "flow",
)
CHECKLISTS = {"tripod_ai.md", "claim.md"}
CALIBRATION = {"calibration.csv", "calibration_curves.csv", "distributions.csv"}
FILES = {
    *CHECKLISTS,
    *CALIBRATION,
    "certificate.json",
    "characteristics.csv",
    "comparisons.csv",
    "curves.csv",
    *DECISION_TABLES,
    "detectable.csv",
    "failures.csv",
    "flow.csv",
    "fused.parquet",
    "gains.csv",
    "manifest.json",
    "metrics.csv",
    "model/README.md",
    "model/model.json",
    "model/model.safetensors",
    "model/reference.json",
    "model/reference.safetensors",
    "reliability.csv",
    "report.html",
    "tests.csv",
    *(f"figures/{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "svg")),
}
EVALUATION = {
    *CHECKLISTS,
    *CALIBRATION,
    *("comparisons.csv", "curves.csv", "manifest.json", "metrics.csv", "report.html", "tests.csv"),
    *DECISION_TABLES,
    *("characteristics.csv", "failures.csv", "flow.csv"),
    *(
        f"figures/{name}.{suffix}"
        for name in (
            *("ranking", "differences", "roc", "disagreement", "flow"),
            *("distributions", "calibration_curves"),
            *("confusion", "decision_curves"),
        )
        for suffix in ("pdf", "svg")
    ),
}
UNSURE = FILES - {"detectable.csv"}
"""Of a run without intervals."""
REPEATABLE = FILES - {"manifest.json", "report.html", "model/README.md", *CHECKLISTS}
"""The manifest says when and from where; the page, the model card and the checklists show it."""


def files_of(folder: Path) -> set[str]:
    """All but the tables for papers, which ``tests/report/test_publication.py`` is about."""
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {str(p) for p in found if p.name != ".pathfuse.json" and p.parts[0] != "tables"}


def assert_same_bytes(one: Path, other: Path, names) -> None:
    differing = [
        name for name in sorted(names) if (one / name).read_bytes() != (other / name).read_bytes()
    ]
    assert not differing


TABLES = ("metrics.csv", "comparisons.csv", "fused.parquet")


@pytest.fixture(scope="module")
def simulated(simulate):
    """60 fit and 40 test rows, three experts, of which two scored nine samples in ten."""
    return simulate(coverage=0.9)


@pytest.fixture(scope="module")
def study(tmp_path_factory, simulated, write_study):
    return write_study(tmp_path_factory.mktemp("study"), simulated)


@pytest.fixture(scope="module")
def fuse(run_cli):
    """``fuse(out, samples, predictions, *more)``: runs, asserts that it went well, gives ``out``
    back."""

    def run(out, samples, *predictions, more=()):
        predictions = predictions or (samples.parent / "predictions",)
        given = ("--samples", samples, "--predictions", *predictions, "--out", out, *more)
        status, printed, err = run_cli("fuse", *given, *(() if "--seed" in more else ARGUMENTS))
        assert status == 0, err
        assert str(out / "report.html") in printed
        return out

    return run


@pytest.fixture(scope="module")
def fused(fuse, study):
    """The output folder of one plain run."""
    return fuse(study[0].parent / "out", *study)


# Help


@pytest.mark.parametrize("arguments", [["--help"], ["fuse", "--help"], ["--version"]])
def test_help_answers_at_once(arguments):
    """In processor seconds of the child: a busy machine makes it wait, not work more."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(f"{' '.join(arguments)}: {min(times):.3f} s")  # noqa: T201
    words = {"--help": "evaluate", "--version": pathfuse.__version__}
    assert (
        words[arguments[0]] in answer.stdout
        if len(arguments) == 1
        else "--allow-in-sample" in answer.stdout
    )
    assert min(times) < 0.8  # the promise is 0.5 s; the rest is for a slower machine


MAIN = "import sys; from pathfuse.cli import main; sys.exit(main())"


# What fuse writes


def test_the_folder_is_complete_and_alone(fused):
    assert files_of(fused) == FILES
    assert {p.name for p in fused.parent.iterdir()} >= {"out", "samples.csv", "predictions"}
    assert not [p.name for p in fused.parent.iterdir() if p.name.startswith(".")]


def test_fused_parquet(fused, simulated):
    table = pl.read_parquet(fused / "fused.parquet")
    weights = [f"weight_{name}" for name in EXPERTS]
    probabilities = [f"prob_{name}" for name in CLASSES]
    assert table.columns == ["sample_id", *probabilities, "prediction", *weights, "n_experts"]
    rows = simulated.samples.filter(pl.col("split") == "test")["sample_id"]
    assert table["sample_id"].to_list() == sorted(rows)
    np.testing.assert_allclose(table.select(probabilities).to_numpy().sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(table.select(weights).to_numpy().sum(axis=1), 1, rtol=1e-12)
    best = table.select(probabilities).to_numpy().argmax(axis=1)
    assert table["prediction"].to_list() == [CLASSES[k] for k in best]
    scored = np.stack(
        [table["sample_id"].is_in(simulated.experts[n]["sample_id"].implode()) for n in EXPERTS],
        axis=1,
    )
    assert table["n_experts"].to_list() == scored.sum(axis=1).tolist()
    assert 0 < (~scored).sum() < 20
    assert (table.select(weights).to_numpy()[~scored] == 0).all()
    assert (table.select(weights).to_numpy()[scored] > 0).all()


def test_metrics_csv(fused):
    table = pl.read_csv(fused / "metrics.csv")
    assert table.columns == [
        "method",
        "output",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "n",
        "n_patients",
    ]
    assert set(table["output"]) == {"all"}
    expected = {
        (method, metric)
        for method in (*EXPERTS, *FITTED, "null_model", "fused")
        for metric in METRICS
    }
    rows = list(table.select("method", "metric").iter_rows())
    assert len(rows) == len(expected)
    assert set(rows) == expected
    constant = (pl.col("method") == "null_model") & (pl.col("metric") == "mcc")
    sure = table.filter(pl.col("metric") != "ece", ~constant)  # the ECE has no interval
    assert sure.null_count().sum_horizontal()[0] == 0
    assert (sure["ci_low"] <= sure["ci_high"]).all()
    of_all = table.filter(pl.col("method").is_in(["expert_0", *FITTED, "fused"]))
    assert set(of_all["n"]) == set(of_all["n_patients"]) == {40}


def test_an_expert_is_judged_on_what_it_scored(fused, simulated):
    table = pl.read_csv(fused / "metrics.csv").filter(pl.col("metric") == "nll")
    rows = simulated.samples.filter(pl.col("split") == "test")
    for name in EXPERTS:
        said = rows.join(simulated.experts[name], on="sample_id")
        logits = said.select(f"logit_{c}" for c in CLASSES).to_numpy()
        log_prob = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        nll = -log_prob[np.arange(said.height), [CLASSES.index(c) for c in said["label"]]].mean()
        (row,) = table.filter(pl.col("method") == name).to_dicts()
        assert row["n"] == said.height
        assert row["value"] == pytest.approx(nll, rel=1e-9)


def test_the_metrics_of_the_fusion_are_those_of_its_table(fused, simulated):
    table = pl.read_parquet(fused / "fused.parquet").join(
        simulated.samples, on="sample_id", maintain_order="left"
    )
    prob = table.select(f"prob_{c}" for c in CLASSES).to_numpy()
    truth = np.array([CLASSES.index(c) for c in table["label"]])
    hit = np.eye(3)[truth]
    expected = {
        "nll": -np.log(prob[np.arange(len(truth)), truth]).mean(),
        "accuracy": (prob.argmax(axis=1) == truth).mean(),
        "balanced_accuracy": np.mean(
            [(prob[truth == k].argmax(axis=1) == k).mean() for k in range(3)]
        ),
        "brier": ((prob - hit) ** 2).sum(axis=1).mean(),
        "auroc": np.mean([pairs_won(prob[truth == k, k], prob[truth != k, k]) for k in range(3)]),
    }
    metrics = pl.read_csv(fused / "metrics.csv").filter(pl.col("method") == "fused")
    found = dict(metrics.select("metric", "value").iter_rows())
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def pairs_won(positive, negative) -> float:
    """AUROC by counting pairs."""
    return float((np.sign(positive[:, None] - negative[None]) / 2 + 0.5).mean())


def test_comparisons_csv(fused):
    table = pl.read_csv(fused / "comparisons.csv")
    assert table.columns == [
        "method", "reference", "output", "metric", "difference", "ci_low", "ci_high", "p_value", "test",
        "p_holm",
    ]  # fmt: skip
    everyone = (*EXPERTS, *FITTED, "null_model", "fused")
    pairs = {(m, r) for m in ("fused", "logitprod") for r in everyone if r != m}
    assert set(table.select("method", "reference").iter_rows()) == pairs
    values = {
        (r["method"], r["metric"]): r["value"]
        for r in pl.read_csv(fused / "metrics.csv").to_dicts()
    }
    full = {"fused", "expert_0", *FITTED}  # a pair is compared on the rows that both scored
    for row in table.filter(pl.col("reference").is_in(full)).to_dicts():
        expected = values[row["method"], row["metric"]] - values[row["reference"], row["metric"]]
        assert row["difference"] == pytest.approx(expected, abs=1e-12)
        if row["metric"] == "ece":
            assert (row["ci_low"], row["p_value"], row["test"]) == (None, None, "none")
        else:
            assert row["ci_low"] <= row["ci_high"]
            assert 0 <= row["p_value"] <= 1
    judged = table.filter(
        pl.col("metric") != "ece",
        (pl.col("reference") != "null_model") | (pl.col("metric") != "mcc"),
    )
    assert judged["test"].str.contains("by sample").all()  # no patients were given


def test_certificate_json(fused, simulated):
    certificate = json.loads((fused / "certificate.json").read_text())
    assert certificate["objective"] == "nll"
    assert set(certificate["experts"]) == set(EXPERTS)
    assert certificate["best_expert"] == min(certificate["experts"], key=certificate["experts"].get)
    assert certificate["fused"] <= certificate["experts"][certificate["best_expert"]]
    assert certificate["holds"] is True
    said = simulated.samples.filter(pl.col("split") == "fit").join(
        simulated.experts["expert_0"], on="sample_id"
    )
    logits = said.select(f"logit_{c}" for c in CLASSES).to_numpy()
    log_prob = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    nll = -log_prob[np.arange(60), [CLASSES.index(c) for c in said["label"]]].mean()
    assert certificate["experts"]["expert_0"] == pytest.approx(
        nll, rel=1e-9
    )  # the one that scored every row


def test_manifest_json(fused, study, simulated):
    manifest = json.loads((fused / "manifest.json").read_text())
    files = [study[0], *study[1].iterdir()]
    assert manifest["inputs"] == {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    assert manifest["pathfuse"] == pathfuse.__version__
    assert (manifest["seed"], manifest["method"], manifest["n_resamples"]) == (0, "auto", RESAMPLES)
    assert manifest["rows"] == {"read": 100, "fit": 60, "judged": 40, "patients_fit": 60, "patients_judged": 40,
                                "fit_without_patient": 60, "judged_without_patient": 40}  # fmt: skip
    partial = {
        name
        for name in EXPERTS
        if pl.read_csv(next(f for f in files if f.stem == name)).height < 100
    }
    assert {
        item["expert"] for item in manifest["left_out"]
    } == partial  # no row is left out as a whole
    assert manifest["wall_time_s"] > 0
    for name in EXPERTS:
        scored = (
            simulated.samples.filter(
                pl.col("sample_id").is_in(simulated.experts[name]["sample_id"].implode())
            )
            .group_by("split")
            .len()
        )
        rows = dict(scored.iter_rows())
        assert manifest["experts"][name]["rows_read"] == sum(rows.values())
        assert manifest["experts"][name]["coverage_fit"] == pytest.approx(rows["fit"] / 60)
        assert manifest["experts"][name]["coverage_judged"] == pytest.approx(rows["test"] / 40)
    inner = manifest["inner_cross_validation"][0]["all"]
    assert set(inner["inner_nll"]) == set(FITTED)
    assert set(inner["council_weights"]) == {
        name for name, kind in methods_of("multiclass").items() if kind.in_council
    }
    assert sum(inner["council_weights"].values()) == pytest.approx(1)


def test_report_html_opens_offline(fused):
    page = (fused / "report.html").read_text(encoding="utf-8")
    assert not re.findall(
        r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?https?:""", page
    )
    for word in (*EXPERTS, *FITTED, "fused"):
        assert word in page


def test_the_model_is_json_and_safetensors(fused):
    assert json.loads((fused / "model" / "model.json").read_text())["schema"] >= 1
    assert {p.suffix for p in (fused / "model").iterdir()} == {".json", ".safetensors", ".md"}


def test_the_model_card_has_the_digests_of_the_files_beside_it(fused):
    card = (fused / "model/README.md").read_text(encoding="utf-8")
    for file in (fused / "model").glob("*.[js]*"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in card


# The same input gives the same bytes, however it comes


def test_two_runs_are_byte_identical(fused, fuse, study, tmp_path):
    again = fuse(tmp_path / "again", *study)
    assert files_of(again) == FILES
    assert_same_bytes(fused, again, REPEATABLE)


def test_another_seed_is_another_bootstrap(fused, fuse, study, tmp_path):
    other = fuse(tmp_path / "other", *study, more=("--seed", 1, "--resamples", RESAMPLES))
    assert (fused / "metrics.csv").read_bytes() != (other / "metrics.csv").read_bytes()


def test_more_processes_change_nothing(fused, fuse, study, tmp_path):
    assert_same_bytes(
        fused, fuse(tmp_path / "out", *study, more=("--jobs", 2, *ARGUMENTS)), REPEATABLE
    )


def test_parquet_is_an_equal_of_csv(fused, fuse, simulated, write_study, tmp_path):
    again = fuse(tmp_path / "out", *write_study(tmp_path, simulated, ".parquet"))
    assert_same_bytes(fused, again, REPEATABLE)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_long_table_equals_a_folder(fused, fuse, study, simulated, tmp_path, suffix):
    long = pl.concat(
        [frame.with_columns(expert=pl.lit(name)) for name, frame in simulated.experts.items()]
    )
    long = long.sample(fraction=1, shuffle=True, seed=3)
    file = tmp_path / f"long{suffix}"
    long.write_csv(file) if suffix == ".csv" else long.write_parquet(file)
    assert_same_bytes(fused, fuse(tmp_path / "out", study[0], file), REPEATABLE)


def test_shuffled_rows_reversed_columns_and_another_order_of_files(
    fused, fuse, simulated, write_study, tmp_path
):
    def disordered(frame, seed):
        return frame.sample(fraction=1, shuffle=True, seed=seed).select(reversed(frame.columns))

    experts = {
        name: disordered(frame, m) for m, (name, frame) in enumerate(simulated.experts.items())
    }
    mixed = simulated._replace(samples=disordered(simulated.samples, 9), experts=experts)
    samples, predictions = write_study(tmp_path, mixed)
    files = sorted(predictions.iterdir(), reverse=True)
    assert_same_bytes(fused, fuse(tmp_path / "out", samples, *files), REPEATABLE)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_give_what_files_give(fused, simulated, tmp_path, library):
    def frame(table):
        return table.to_pandas() if library == "pandas" else table

    experts = {name: frame(table) for name, table in simulated.experts.items()}
    study = pathfuse.read_study(samples=frame(simulated.samples), predictions=experts)
    result = pathfuse.fuse(study, method="auto", seed=0, n_resamples=RESAMPLES)
    result.save(tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES
    # Text of a CSV keeps every digit that polars writes, so files and frames hold the same numbers.
    assert_same_bytes(fused, tmp_path / "out", REPEATABLE)


# predict


def predict(run_cli, model, out, *predictions):
    answer = run_cli("predict", "--model", model, "--predictions", *predictions, "--out", out)
    assert answer.status == 0, answer.err
    return out


@pytest.fixture(scope="module")
def judged_rows(simulated, tmp_path_factory):
    """The predictions of the test rows alone."""
    folder = tmp_path_factory.mktemp("judged_rows")
    rows = simulated.samples.filter(pl.col("split") == "test").select("sample_id")
    for name, frame in simulated.experts.items():
        frame.join(rows, on="sample_id", how="semi").write_csv(folder / f"{name}.csv")
    return folder


@pytest.mark.parametrize("model", ["", "model"])
def test_predict_reproduces_the_fused_table_bit_for_bit(
    fused, judged_rows, run_cli, tmp_path, model
):
    out = predict(run_cli, fused / model, tmp_path / "deep" / "again.parquet", judged_rows)
    assert out.read_bytes() == (fused / "fused.parquet").read_bytes()


def test_predict_of_all_rows_says_the_same_of_the_test_rows(fused, study, run_cli, tmp_path):
    table = pl.read_parquet(predict(run_cli, fused, tmp_path / "all.parquet", study[1]))
    assert table.height == 100
    expected = pl.read_parquet(fused / "fused.parquet")
    judged = table.join(expected.select("sample_id"), on="sample_id", how="semi")
    assert judged.drop("seen_in_fit").equals(expected)
    assert not judged["seen_in_fit"].any()


@pytest.mark.slow
def test_rows_that_the_model_was_fitted_on_are_told_and_remembered(fused, study, run_cli, tmp_path):
    """At prediction, and again where the predictions are judged or fused."""
    samples, predictions = study
    given = (
        "predict",
        "--model",
        fused,
        "--predictions",
        predictions,
        "--out",
        tmp_path / "p" / "again.csv",
    )
    status, _, err = run_cli(*given)
    assert status == 0
    assert (
        "pathfuse: warning: 60 of the 100 samples were among the fit rows of the model: what it says of them is better "
        "than of new samples (column 'seen_in_fit')"
    ) in err.splitlines()
    seen = pl.read_csv(tmp_path / "p" / "again.csv").filter("seen_in_fit")["sample_id"]
    assert (
        seen.to_list()
        == pl.read_csv(samples).filter(pl.col("split") == "fit")["sample_id"].sort().to_list()
    )
    everything = pl.read_csv(samples).drop("split")
    everything.write_csv(tmp_path / "all.csv")
    given = ("--predictions", tmp_path / "p" / "again.csv", "--resamples", 0)
    status, _, err = run_cli(
        "evaluate", "--samples", tmp_path / "all.csv", *given, "--out", tmp_path / "judged"
    )
    assert status == 0, err
    told = (
        "expert 'again': 60 of the 100 judged samples were among the fit rows of the model that predicted them: its "
        "figures are too good"
    )
    assert f"pathfuse: warning: {told}" in err.splitlines()
    assert json.loads((tmp_path / "judged" / "manifest.json").read_text())["warnings"] == [told]
    status, _, err = run_cli(
        "evaluate", "--samples", samples, *given, "--out", tmp_path / "test_rows"
    )
    assert (status, "warning" in err) == (0, False)
    given = (
        "--predictions",
        tmp_path / "p",
        predictions,
        "--resamples",
        0,
        "--method",
        "uniform_product",
    )
    status, _, err = run_cli("fuse", "--samples", samples, *given, "--out", tmp_path / "fused")
    assert status == 0, err
    assert (
        "pathfuse: warning: expert 'again': 60 of the 60 fit samples were among the fit rows of the model that "
        "predicted them: the fusion will trust it too much"
    ) in err.splitlines()


def test_a_model_of_a_version_without_digests_predicts_in_silence(fused, study, run_cli, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(fused / "model", model)
    tensors = load_file(model / "model.safetensors")
    assert not tensors["fit_ids"].tobytes().startswith(b"s0")
    save_file(
        {name: value for name, value in tensors.items() if name != "fit_ids"},
        model / "model.safetensors",
    )
    status, _, err = run_cli(
        "predict", "--model", model, "--predictions", study[1], "--out", tmp_path / "out.csv"
    )
    assert (status, err) == (0, "")
    assert "seen_in_fit" not in pl.read_csv(tmp_path / "out.csv").columns
    assert not pathfuse.load(model).seen_in_fit(["s000"]).any()
    assert pathfuse.load(fused).seen_in_fit(["s000", "s060"]).tolist() == [True, False]


def test_predictions_of_two_experts_spell_a_sample_alike(fused, judged_rows, run_cli, tmp_path):
    folder = tmp_path / "predictions"
    shutil.copytree(judged_rows, folder)
    first = sorted(folder.iterdir())[0]
    first.write_text(first.read_text().replace("s077", "S077"))
    answer = run_cli(
        "predict", "--model", fused, "--predictions", folder, "--out", tmp_path / "out.csv"
    )
    assert answer.status == 2
    assert "column 'sample_id': 'S077' and 's077' are two spellings of one name" in answer.err
    first.write_text(first.read_text().replace("S077", "s77"))
    answer = run_cli(
        "predict", "--model", fused, "--predictions", folder, "--out", tmp_path / "out.csv"
    )
    assert answer.status == 2
    assert "it is 's077' there that stands for 's77' (they differ by leading zeros" in answer.err


def test_predict_to_csv_keeps_every_digit(fused, judged_rows, run_cli, tmp_path):
    out = predict(run_cli, fused, tmp_path / "again.csv", judged_rows)
    expected = pl.read_parquet(fused / "fused.parquet")
    assert pl.read_csv(out, schema=expected.schema).equals(expected)


def test_predict_in_python(fused, judged_rows, simulated):
    expected = pl.read_parquet(fused / "fused.parquet")
    frames = {file.stem: pl.read_csv(file).to_pandas() for file in judged_rows.iterdir()}
    assert pathfuse.load(fused).predict(frames).equals(expected)


def test_predict_with_an_expert_left_out(fused, judged_rows, run_cli, tmp_path):
    table = pl.read_parquet(
        predict(
            run_cli,
            fused,
            tmp_path / "fewer.parquet",
            *(judged_rows / f"{n}.csv" for n in EXPERTS[:2]),
        )
    )
    assert table.columns == pl.read_parquet(fused / "fused.parquet").columns
    assert (table["weight_expert_2"] == 0).all()
    assert set(table["n_experts"]) <= {1, 2}
    np.testing.assert_allclose(table.select("^weight_.*$").sum_horizontal(), 1, rtol=1e-12)
    np.testing.assert_allclose(table.select("^prob_.*$").sum_horizontal(), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (
            lambda folder: (folder / "expert_1.csv").rename(folder / "stranger.csv"),
            ["'stranger'", "expert_0, expert_1"],
        ),
        (
            lambda folder: (folder / "expert_1.csv").write_text(
                "sample_id,logit_tumour,logit_stroma\ns099,1,2\n"
            ),
            ["expert_1.csv", "column 'logit_tumour'", "'tumour'"],
        ),
        (
            lambda folder: (folder / "expert_1.csv").write_text(
                "sample_id,logit_tumor,logit_stroma\ns099,1,nan\n"
            ),
            ["expert_1.csv", "column 'logit_stroma'", "'s099'", "NaN"],
        ),
        (lambda folder: (folder / "expert_1.csv").write_text(""), ["expert_1.csv", "is empty"]),
        (lambda folder: [file.unlink() for file in folder.iterdir()], ["holds no table"]),
    ],
)
def test_predict_refuses_bad_predictions(fused, judged_rows, run_cli, tmp_path, spoil, parts):
    folder = tmp_path / "predictions"
    folder.mkdir()
    for file in judged_rows.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    spoil(folder)
    answer = run_cli(
        "predict", "--model", fused, "--predictions", folder, "--out", tmp_path / "out.csv"
    )
    assert_refused(answer, tmp_path, parts)


def assert_refused(answer, folder, parts):
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("pathfuse: ")
    assert answer.err.count("\n") == 1
    assert all(part in answer.err for part in parts), answer.err
    assert not [p.name for p in folder.iterdir() if p.name.startswith((".", "out"))]


def damaged(fused, folder, change):
    for name in ("model.json", "model.safetensors"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes((fused / "model" / name).read_bytes())
    change(folder)
    return folder


def rewrite(folder, **changes):
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda f: [p.unlink() for p in f.iterdir()], "holds no model"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no model"),
        (
            lambda f: (f / "model.safetensors").write_bytes(
                (f / "model.safetensors").read_bytes()[:-9]
            ),
            "is damaged",
        ),
        (lambda f: (f / "model.json").write_text("{"), "is damaged"),
        (lambda f: (f / "model.json").write_text("{}"), "is damaged"),
        (lambda f: (f / "model.json").write_bytes(b"\xff\xfe"), "is damaged"),
        (lambda f: rewrite(f, schema=10**6), "newer pathfuse"),
        (lambda f: rewrite(f, endpoint={"kind": "astrology"}), "is damaged"),
    ],
)
def test_predict_refuses_a_model_that_is_none(fused, judged_rows, run_cli, tmp_path, change, part):
    model = damaged(fused, tmp_path / "model", change)
    answer = run_cli(
        "predict", "--model", model, "--predictions", judged_rows, "--out", tmp_path / "out.csv"
    )
    assert_refused(answer, tmp_path, [str(model), part])


def test_predict_refuses_a_bad_output(fused, judged_rows, run_cli, tmp_path):
    given = ("predict", "--model", fused, "--predictions", judged_rows, "--out")
    assert_refused(
        run_cli(*given, tmp_path / "out.xlsx"), tmp_path, ["out.xlsx", ".csv or .parquet"]
    )
    (tmp_path / "taken.csv").write_text("precious")
    assert_refused(
        run_cli(*given, tmp_path / "taken.csv"),
        tmp_path,
        ["taken.csv", "exists already", "--force"],
    )
    assert (tmp_path / "taken.csv").read_text() == "precious"
    assert_refused(
        run_cli(*given, tmp_path / "taken.csv", "--force"),
        tmp_path,
        ["taken.csv", "somebody else's"],
    )
    labels = "sample_id,label\na,x\n"
    (tmp_path / "taken.csv").write_text(labels)
    assert_refused(
        run_cli(*given, tmp_path / "taken.csv", "--force"), tmp_path, ["taken.csv", "other columns"]
    )
    assert (tmp_path / "taken.csv").read_text() == labels
    (tmp_path / "taken.csv").unlink()
    assert run_cli(*given, tmp_path / "taken.csv").status == 0
    assert run_cli(*given, tmp_path / "taken.csv", "--force").status == 0
    assert pl.read_csv(tmp_path / "taken.csv").height == 40


# evaluate


def test_evaluate_judges_and_fits_nothing(fused, study, run_cli, tmp_path):
    given = (
        "--samples",
        study[0],
        "--predictions",
        study[1],
        "--out",
        tmp_path / "out",
        *ARGUMENTS,
    )
    status, printed, err = run_cli("evaluate", *given)
    assert status == 0, err
    assert files_of(tmp_path / "out") == EVALUATION
    table = pl.read_csv(tmp_path / "out" / "metrics.csv")
    assert set(table["method"]) == {*EXPERTS, *UNFITTED, "null_model"}
    assert all(name in printed for name in EXPERTS)
    # What needs no fitting is judged as fuse judges it.
    keys = ["method", "output", "metric"]
    both = table.join(pl.read_csv(fused / "metrics.csv"), on=keys)
    assert both.height == table.height
    np.testing.assert_allclose(both["value"], both["value_right"], rtol=1e-12)
    assert both["n"].equals(both["n_right"], check_names=False)


def test_evaluate_without_roles_judges_every_row(simulated, write_study, run_cli, tmp_path):
    samples, predictions = write_study(
        tmp_path, simulated._replace(samples=simulated.samples.drop("split"))
    )
    given = (
        "--samples",
        samples,
        "--predictions",
        predictions,
        "--out",
        tmp_path / "out",
        *ARGUMENTS,
    )
    assert run_cli("evaluate", *given).status == 0
    table = pl.read_csv(tmp_path / "out" / "metrics.csv")
    assert set(table["method"]) == {*EXPERTS, *UNFITTED} - {"best_expert"}
    assert set(table.filter(pl.col("method") == "uniform_product")["n"]) == {100}


def test_evaluate_refuses_bad_input(study, run_cli, tmp_path):
    answer = run_cli(
        "evaluate",
        "--samples",
        study[1] / "expert_0.csv",
        "--predictions",
        study[1],
        "--out",
        tmp_path / "out",
    )
    assert answer.status == 2
    assert answer.err.splitlines()[-1].startswith(
        f"pathfuse: {study[1] / 'expert_0.csv'} has no target column"
    )
    assert list(tmp_path.iterdir()) == []


# Other studies


@pytest.mark.slow
def test_a_fold_study(make_study, fuse, tmp_path):
    samples, predictions = make_study(tmp_path, 45, 0, 2, n_folds=3)
    out = fuse(tmp_path / "out", samples, predictions)
    certificate = json.loads((out / "certificate.json").read_text())
    assert set(certificate["folds"]) == {"0", "1", "2"}
    for part in (certificate, *certificate["folds"].values()):
        assert part["holds"] is True
        assert part["fused"] <= min(part["experts"].values())
    table = pl.read_parquet(out / "fused.parquet")
    assert table["sample_id"].to_list() == sorted(pl.read_csv(samples)["sample_id"])
    truth = pl.read_csv(samples)
    joined = table.join(truth, on="sample_id").with_columns(
        hit=pl.col("prediction") == pl.col("label")
    )
    per_fold = joined.group_by("fold").agg(pl.col("hit").mean(), pl.len())
    expected = (per_fold["hit"] * per_fold["len"]).sum() / per_fold["len"].sum()
    metrics = pl.read_csv(out / "metrics.csv").filter(
        pl.col("method") == "fused", pl.col("metric") == "accuracy"
    )
    assert metrics["value"].to_list() == pytest.approx([expected])
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["rows"] == {"read": 45, "fit": 45, "judged": 45, "patients_fit": 45, "patients_judged": 45,
                                "fit_without_patient": 45, "judged_without_patient": 45}  # fmt: skip
    assert_fold_tests(out, joined.join(pl.read_csv(predictions / "expert_0.csv"), on="sample_id"))


def assert_fold_tests(out, joined):
    """``tests.csv`` of three folds: the corrected t everywhere, and of accuracy from the files
    themselves."""
    tests = pl.read_csv(out / "tests.csv", infer_schema_length=None)
    of_folds = tests.filter(pl.col("test") == "corrected resampled t, 3 folds")
    key = ["method", "reference", "metric"]
    competing = pl.read_csv(out / "comparisons.csv").filter(pl.col("reference") != "null_model")
    assert of_folds.select(key).sort(key).equals(competing.select(key).sort(key))
    others = tests.filter(pl.col("test") != "corrected resampled t, 3 folds")
    assert set(others["test"]) == {"non-inferiority, bootstrap by sample, not adjusted"}
    tested = of_folds.drop_nulls("p_value")
    assert (tested["p_holm"] >= tested["p_value"]).all()
    differs = (tested["p_holm"] < 0.05).to_list()
    assert tested["conclusion"].to_list() == [
        "differs" if d else "no difference shown" for d in differs
    ]
    assert set(of_folds.filter(pl.col("p_value").is_null())["conclusion"]) <= {"undefined"}
    logits = joined.select([f"logit_{c}" for c in CLASSES]).to_numpy()
    called = pl.Series([CLASSES[k] for k in logits.argmax(axis=1)])
    gains = joined.with_columns(
        gain=pl.col("hit").cast(int) - (called == joined["label"]).cast(int)
    )
    differences = gains.group_by("fold").agg(pl.col("gain").mean())["gain"].to_numpy()
    (found,) = of_folds.filter(method="fused", reference="expert_0", metric="accuracy").iter_rows(
        named=True
    )
    assert found["difference"] == pytest.approx(differences.mean())
    # 15 of 45 patients are judged per fold: 1/3 + 15/30 in place of 1/3.
    expected = differences.mean() / np.sqrt((1 / 3 + 1 / 2) * differences.var(ddof=1))
    assert found["statistic"] == pytest.approx(expected)


@pytest.mark.slow
def test_patients_are_the_unit_when_asked(make_study, fuse, tmp_path):
    samples, predictions = make_study(tmp_path, 60, 40, 2, per_patient=2)
    by_patient = fuse(
        tmp_path / "patients", samples, predictions, more=("--unit", "patient", *ARGUMENTS)
    )
    table = pl.read_csv(by_patient / "metrics.csv")
    assert set(table["n"]) == set(table["n_patients"]) == {20}
    assert pl.read_parquet(by_patient / "fused.parquet").height == 40
    by_sample = pl.read_csv(fuse(tmp_path / "samples", samples, predictions) / "metrics.csv")
    assert (set(by_sample["n"]), set(by_sample["n_patients"])) == ({40}, {20})


@pytest.mark.parametrize("method", ["uniform_product", "logitprod", "choose"])
def test_one_method_by_name(make_study, fuse, tmp_path, method):
    samples, predictions = make_study(tmp_path, 30, 20, 2)
    out = fuse(tmp_path / "out", samples, predictions, more=("--method", method, *ARGUMENTS))
    inner = json.loads((out / "manifest.json").read_text())["inner_cross_validation"][0]["all"]
    name = min(inner["inner_nll"], key=inner["inner_nll"].get) if method == "choose" else method
    assert inner.get("chosen", method) == name
    rows = pl.read_csv(out / "metrics.csv").partition_by("method", include_key=False, as_dict=True)
    assert rows["fused",].equals(rows[name,])


def test_numeric_identifiers_keep_their_zeros(simulate, write_study, fuse, run_cli, tmp_path):
    sim = simulate(30, 20, 2)

    def numbered(frame):
        return frame.with_columns(pl.col("sample_id").str.replace("s", "0"))  # s007 -> 0007

    sim = sim._replace(
        samples=numbered(sim.samples), experts={n: numbered(f) for n, f in sim.experts.items()}
    )
    out = fuse(tmp_path / "out", *write_study(tmp_path, sim))
    assert pl.read_parquet(out / "fused.parquet")["sample_id"].to_list() == [
        f"{i:04d}" for i in range(30, 50)
    ]
    csv = predict(run_cli, out, tmp_path / "again.csv", tmp_path / "predictions")
    assert csv.read_text().splitlines()[1].startswith("0000,")


def test_class_names_as_people_write_them(simulate, write_study, fuse, run_cli, tmp_path):
    names = ('in situ, "early"', "Plattenepithel größer", "1")
    samples, predictions = write_study(tmp_path, simulate(30, 20, 2, names))
    for file in (samples, *predictions.iterdir()):  # as a spreadsheet saves "CSV UTF-8"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    out = fuse(tmp_path / "out", samples, predictions)
    table = pl.read_parquet(out / "fused.parquet")
    assert table.columns[1:4] == [f"prob_{name}" for name in sorted(names)]
    assert set(table["prediction"]) == set(names)
    again = read_table(predict(run_cli, out, tmp_path / "again.csv", predictions)).frame
    assert again.columns == [*table.columns, "seen_in_fit"]
    assert set(again["prediction"]) == set(names)


def test_columns_that_are_no_predictions_are_listed(simulate, write_study, fuse, tmp_path):
    sim = simulate(30, 20, 2)
    sim.experts["expert_1"] = sim.experts["expert_1"].with_columns(note=pl.lit("fine"))
    out = fuse(tmp_path / "out", *write_study(tmp_path, sim))
    experts = json.loads((out / "manifest.json").read_text())["experts"]
    assert [experts[n]["columns_ignored"] for n in ("expert_0", "expert_1")] == [[], ["note"]]


def test_an_expert_that_knows_fewer_classes(simulate, write_study, fuse, tmp_path):
    sim = simulate(30, 20, 3)
    sim.experts["expert_1"] = sim.experts["expert_1"].drop("logit_stroma")
    out = fuse(tmp_path / "out", *write_study(tmp_path, sim))
    experts = json.loads((out / "manifest.json").read_text())["experts"]
    assert experts["expert_1"]["outcomes_unknown"] == ["stroma"]
    assert json.loads((out / "certificate.json").read_text())["holds"] is True


def test_an_expert_that_scored_no_judged_row(simulate, write_study, fuse, tmp_path):
    sim = simulate(30, 20, 3)
    sim.experts["expert_1"] = sim.experts["expert_1"].head(30)
    out = fuse(tmp_path / "out", *write_study(tmp_path, sim))
    table = pl.read_csv(out / "metrics.csv").filter(pl.col("method") == "expert_1")
    assert table["value"].null_count() == table.height  # undefined is an empty cell
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["experts"]["expert_1"]["coverage_judged"] == 0
    assert any(
        "expert_1" in note for note in manifest["notes"]
    )  # and the reason stands in the manifest


# Killing


DEADLY = """
import os, signal, sys
from pathlib import Path
import pathfuse.files.model_folder as model, pathfuse.workflows.result as result

left = int(sys.argv.pop(1))

def deadly(work):
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments, **options)
    return wrapped

for module, name in [(result, "write_table"), (result, "write_json"), (result, "render"), (model, "save_file")]:
    setattr(module, name, deadly(getattr(module, name)))
Path.rename = deadly(Path.rename)
from pathfuse.cli import main
sys.exit(main())
"""
"""The command line, killed before the n-th step of writing (files, page, renames)."""


@pytest.fixture(scope="module")
def small(tmp_path_factory, make_study):
    return make_study(tmp_path_factory.mktemp("small"), 12, 6, 2, ("benign", "malignant"))


def assert_none_or_complete(out: Path, expected: set[str]) -> None:
    if out.exists():
        assert files_of(out) == expected


def killed_then_clean(code, run_cli, command, small, out, expected, more=()):
    given = [
        str(a)
        for a in ("--samples", small[0], "--predictions", small[1], "--out", out, "--resamples", 5)
    ]
    killed = subprocess.run(
        [sys.executable, "-c", *code, command, *given, *more], capture_output=True, timeout=100
    )
    assert killed.returncode == -signal.SIGKILL
    assert_none_or_complete(out, expected)
    assert list(
        out.parent.glob(".out.*")
    )  # the kill came in the middle: there is something to clean up
    assert run_cli(command, *given, "--force").status == 0
    assert files_of(out) == expected
    assert [p.name for p in out.parent.iterdir()] == [out.name]  # nothing hidden is left


@pytest.mark.parametrize("step", [1, 3, 5, 6])
@pytest.mark.slow
def test_a_kill_while_writing_leaves_no_folder(small, run_cli, tmp_path, step):
    # evaluate: metrics, comparisons, manifest (3), tests, curves, page (6), rename (7)
    killed_then_clean([DEADLY, str(step)], run_cli, "evaluate", small, tmp_path / "out", EVALUATION)


@pytest.mark.slow
def test_a_kill_of_fuse_while_it_writes_the_model(small, run_cli, tmp_path):
    # metrics, comparisons, manifest, fused, certificate, tests, reliability, curves, tensors (9)
    killed_then_clean([DEADLY, "9"], run_cli, "fuse", small, tmp_path / "out", UNSURE)


@pytest.mark.slow
@pytest.mark.parametrize("step", [6, 7, 8])
def test_a_kill_while_overwriting(small, run_cli, tmp_path, step):
    # page (6), the old folder steps aside (7), the new one takes its place (8)
    given = (
        "--samples",
        small[0],
        "--predictions",
        small[1],
        "--out",
        tmp_path / "out",
        "--resamples",
        5,
    )
    assert run_cli("evaluate", *given).status == 0
    killed_then_clean(
        [DEADLY, str(step)], run_cli, "evaluate", small, tmp_path / "out", EVALUATION, ["--force"]
    )


@pytest.mark.slow
def test_a_kill_at_any_moment(small, run_cli, tmp_path):
    out = tmp_path / "out"
    given = [
        str(a)
        for a in ("--samples", small[0], "--predictions", small[1], "--out", out, "--resamples", 5)
    ]
    for moment in (0.4, 1.1, 1.9, "partial"):
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "fuse", *given],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if moment == "partial":  # at the first sign of writing
            while process.poll() is None and not list(tmp_path.glob(".out.partial-*")):
                time.sleep(0.001)
        else:
            time.sleep(moment)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait() in (0, -signal.SIGKILL)
        assert_none_or_complete(out, UNSURE)
        if out.exists():
            break
    assert run_cli("fuse", *given, "--force").status == 0
    assert files_of(out) == UNSURE
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_blanks_around_names_change_nothing_and_are_counted(simulate, write_study, fuse, tmp_path):
    sim = simulate(30, 20, 2)
    clean = fuse(tmp_path / "clean", *write_study(tmp_path / "a", sim))
    ragged = sim.samples.with_columns(
        sample_id=pl.format("{}\u00a0", "sample_id"),
        split=pl.format(" {}", "split"),
        label=pl.format("{}\t", "label"),
    )
    experts = {
        f"{name} ": frame.rename({"sample_id": " sample_id"}) for name, frame in sim.experts.items()
    }
    samples, predictions = write_study(
        tmp_path / "b", sim._replace(samples=ragged, experts=experts)
    )
    out = fuse(tmp_path / "out", samples, predictions)
    for name in ("metrics.csv", "fused.parquet", "comparisons.csv"):
        assert (out / name).read_bytes() == (clean / name).read_bytes()
    assert json.loads((out / "manifest.json").read_text())["blanks_stripped"] == {
        f"{samples}, column 'sample_id'": 50,
        f"{samples}, column 'split'": 50,
        f"{samples}, column 'label'": 50,
        **{f"{predictions}/{name}.csv, names of columns": 1 for name in experts},
    }
    assert json.loads((clean / "manifest.json").read_text())["blanks_stripped"] == {}


def test_doubts_about_samples_reach_the_user(simulate, write_study, run_cli, tmp_path):
    """Slides of one case without ``patient_id``, and one image under two names."""
    sim = simulate(30, 20, 2)
    names = {f"s{i:03d}": f"TCGA-AA-{i // 2:04d}-01Z-00-DX{i % 2}" for i in range(50)}

    def named(frame):
        return frame.with_columns(pl.col("sample_id").replace(names))

    experts = {
        name: named(pl.concat([f[:49], f[:1].with_columns(f["sample_id"][49:])]))
        for name, f in sim.experts.items()
    }
    samples, predictions = write_study(
        tmp_path, sim._replace(samples=named(sim.samples), experts=experts)
    )
    for command in ("fuse", "evaluate"):
        given = (
            "--samples",
            samples,
            "--predictions",
            predictions,
            "--out",
            tmp_path / command,
            "--resamples",
            0,
        )
        status, _, err = run_cli(command, *given)
        assert status == 0, err
        warnings = json.loads((tmp_path / command / "manifest.json").read_text())["warnings"]
        assert all(f"pathfuse: warning: {warning}" in err.splitlines() for warning in warnings)
        torn, copied = (w for w in warnings if "shrink least" not in w)
        one, two, last = (names[name] for name in ("s000", "s001", "s049"))
        assert torn == (
            f"{samples}: 50 samples are of 25 cases, the first TCGA-AA-0000 ('{one}' and '{two}'), but each counts as "
            "a patient of its own, so intervals are too narrow; add a column patient_id with the case, such as "
            "TCGA-AA-0000 (the first 12 characters)"
        )
        assert copied == (
            f"1 judged sample has exactly the predictions of a fit sample ('{last}' and '{one}'): the same image "
            "under two names?"
        )


def test_python_m_pathfuse_is_the_command():
    found = subprocess.run(
        [sys.executable, "-m", "pathfuse", "rank", "nowhere", "--out", "x"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr.startswith("pathfuse: ")
