"""Survival from the outside: what fuse, predict, evaluate and bins write, and what they refuse."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from pathfuse.fusion.methods import methods_of

EDGES = "0,12,24,36,inf"
T = 4
EXPERTS = ("expert_0", "expert_1", "expert_2")
HAZARDS = [f"hazard_{k}" for k in range(1, T + 1)]
FITTED = tuple(methods_of("survival"))
METRICS = ("nll", "c_index", "c_index_ipcw", "ibs", "auc_at_12", "auc_at_24", "auc_at_36")
PROGRESS = re.compile(r" *\d+ % .+")


class Study(NamedTuple):
    samples: pl.DataFrame
    experts: dict[str, pl.DataFrame]


def simulate(n_fit=50, n_test=40, seed=0, *, n_folds=0, per_patient=1, coverage=0.9):
    """Patients of one latent risk; a third is censored. The experts see the risk through noise of
    different size."""
    rng = np.random.default_rng(seed)
    n = n_fit + n_test
    unit = np.arange(n) // per_patient
    level = 1.3 * rng.normal(size=n)[unit]
    hazard = expit(level[:, None] - 1.2 + np.zeros(T))
    dead = np.concatenate(
        [rng.random((n, T)) < hazard, np.ones((n, 1), dtype=bool)], axis=1
    ).argmax(axis=1)[unit]
    death = np.where(dead < T, 12 * dead + 12 * rng.random(n)[unit] + 0.01, 90.0)
    leaving = rng.exponential(60, size=n)[unit] + 0.1
    ids = [f"s{i:03d}" for i in range(n)]
    columns = {
        "sample_id": ids,
        "patient_id": [f"p{u}" for u in unit],
        "time": np.minimum(np.minimum(death, leaving), 80.0),
        "event": ((death <= leaving) & (death <= 80)).astype(int),
    }
    columns |= (
        {"fold": unit % n_folds} if n_folds else {"split": ["fit"] * n_fit + ["test"] * n_test}
    )
    experts = {}
    for m, name in enumerate(EXPERTS):
        logits = (
            (level - 1.2)[:, None]
            + rng.normal(size=(n, 1)) * (0.4 + 0.4 * m)
            + rng.normal(size=(n, T)) * 0.3
        )
        frame = pl.DataFrame(
            {"sample_id": ids, **{f"hazard_logit_{k + 1}": logits[:, k] for k in range(T)}}
        )
        experts[name] = frame.filter(pl.Series(rng.random(n) < coverage)) if m else frame
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

    def run(samples, predictions, *more, edges=EDGES):
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
        status, _, err = run_cli("fuse", *given, *(("--time-edges", edges) if edges else ()), *more)
        assert status == 0, err
        return out

    return run


@pytest.fixture(scope="module")
def fused(fuse, files):
    """One plain run."""
    return fuse(*files)


def metrics_of(out, method="fused"):
    rows = pl.read_csv(out / "metrics.csv").filter(pl.col("method") == method)
    return dict(rows.select("metric", "value").iter_rows())


def own_nll(table):
    """Censored NLL from hazards, times and events (docs/design/statistics.md, section 9)."""
    total = 0.0
    for row in table.iter_rows(named=True):
        hazard = [row[name] for name in HAZARDS]
        k = min(int(np.ceil(row["time"] / 12)), T)  # bins (0,12], (12,24], (24,36], (36,inf]
        survived = -np.log1p(-np.array(hazard[:k]))
        total += -np.log(hazard[k - 1]) + survived[:-1].sum() if row["event"] else survived.sum()
    return total / table.height


# What fuse writes


def test_the_folder_is_complete(fused):
    files = [p.relative_to(fused) for p in fused.rglob("*") if p.is_file()]
    names = {str(p) for p in files if p.parts[0] != "tables"}
    figures = (
        "ranking",
        "differences",
        "kaplan_meier",
        "reliability",
        "weights_by_sample",
        "weights",
        "disagreement",
        "distributions",
        "calibration_edges",
        "decision_curves",
        "decision_differences",
        "flow",
    )
    assert names == {"calibration.csv", "distributions.csv", "tripod_ai.md", "claim.md",
                     "certificate.json", "comparisons.csv", "curves.csv", "fused.parquet", "gains.csv", "manifest.json",
                     "decision_curves.csv", "utility.csv",
                     "metrics.csv", "model/README.md", "model/model.json", "model/model.safetensors",
                     "model/reference.json", "model/reference.safetensors", "reliability.csv", "report.html",
                     "tests.csv", ".pathfuse.json",
                     "characteristics.csv", "detectable.csv", "failures.csv", "flow.csv",
                     *(f"figures/{name}.{suffix}" for name in figures for suffix in ("pdf", "svg"))}  # fmt: skip


def test_fused_parquet(fused, study):
    table = pl.read_parquet(fused / "fused.parquet")
    weights = [f"weight_{name}" for name in EXPERTS]
    assert table.columns == ["sample_id", *HAZARDS, "prediction", *weights, "n_experts"]
    assert (
        table["sample_id"].to_list()
        == study.samples.filter(pl.col("split") == "test")["sample_id"].to_list()
    )
    hazard = table.select(HAZARDS).to_numpy()
    assert np.all((hazard > 0) & (hazard < 1))
    np.testing.assert_allclose(
        table["prediction"], -np.cumprod(1 - hazard, axis=1).sum(axis=1), rtol=1e-9
    )
    np.testing.assert_allclose(table.select(weights).to_numpy().sum(axis=1), 1, rtol=1e-12)
    absent = np.stack(
        [~table["sample_id"].is_in(study.experts[n]["sample_id"].implode()) for n in EXPERTS],
        axis=1,
    )
    assert absent.any()
    assert np.all(table.select(weights).to_numpy()[absent] == 0)


def test_metrics_csv(fused):
    table = pl.read_csv(fused / "metrics.csv")
    assert set(table["output"]) == {"all"}
    expected = {
        (method, metric)
        for method in (*EXPERTS, *FITTED, "null_model", "fused")
        for metric in METRICS
    }
    assert set(table.select("method", "metric").iter_rows()) == expected
    assert table.height == len(expected)
    assert table["value"].null_count() == 0


def test_the_metrics_of_the_fusion_are_those_of_its_table(fused, study):
    table = pl.read_parquet(fused / "fused.parquet").join(
        study.samples, on="sample_id", maintain_order="left"
    )
    found = metrics_of(fused)
    assert found["nll"] == pytest.approx(own_nll(table), rel=1e-9)
    time, event, risk = (table[name].to_numpy() for name in ("time", "event", "prediction"))
    pairs = (event[:, None] == 1) & (time[:, None] < time[None])
    won = np.sign(risk[:, None] - risk[None]) / 2 + 0.5
    assert found["c_index"] == pytest.approx(won[pairs].mean(), rel=1e-9)
    assert found["c_index"] > 0.6  # higher risk, earlier event
    for edge in (12, 24, 36):
        assert found[f"auc_at_{edge}"] > 0.5


def test_an_expert_alone_is_judged_by_its_own_hazards(fused, study):
    said = study.samples.filter(pl.col("split") == "test").join(
        study.experts["expert_1"], on="sample_id"
    )
    own = said.with_columns(
        (1 / (1 + (-pl.col(f"hazard_logit_{k}")).exp())).alias(f"hazard_{k}")
        for k in range(1, T + 1)
    )
    assert metrics_of(fused, "expert_1")["nll"] == pytest.approx(own_nll(own), rel=1e-6)


def test_the_certificate_holds(fused, study):
    certificate = json.loads((fused / "certificate.json").read_text())
    assert certificate["objective"] == "nll"
    assert certificate["holds"]
    assert set(certificate["experts"]) == set(EXPERTS)
    assert certificate["fused"] <= min(certificate["experts"].values()) + 1e-9
    assert certificate["best_expert"] == min(certificate["experts"], key=certificate["experts"].get)


def test_the_model_is_stored_with_its_endpoint(fused):
    """Issue 15, item 18: the council of a survival study was stored as one of classes."""
    content = json.loads((fused / "model" / "model.json").read_text())
    assert {part["options"]["endpoint"] for part in content["fusions"].values()} == {"survival"}


def test_the_certificate_is_that_of_the_model_on_the_fit_rows(
    fused, files, study, run_cli, tmp_path
):
    out = tmp_path / "all.csv"
    assert run_cli("predict", "--model", fused, "--predictions", files[1], "--out", out).status == 0
    table = pl.read_csv(out).join(study.samples.filter(pl.col("split") == "fit"), on="sample_id")
    assert table.height == 50
    certificate = json.loads((fused / "certificate.json").read_text())
    assert certificate["fused"] == pytest.approx(own_nll(table), rel=1e-9)


def test_the_manifest_names_the_edges(fused):
    manifest = json.loads((fused / "manifest.json").read_text())
    assert manifest["endpoint"] == {
        "kind": "survival", "time_edges": ["0.0", "12.0", "24.0", "36.0", "inf"], "censoring": "later"
    }  # fmt: skip
    assert not [w for w in manifest["warnings"] if "edges" in w]
    assert "hazard_product" in manifest["inner_cross_validation"][0]["all"]["inner_nll"]


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


def test_predict_knows_the_bins(fused, files, run_cli, tmp_path):
    short = tmp_path / "expert_0.csv"
    pl.read_csv(files[1] / "expert_0.csv").drop("hazard_logit_4").write_csv(short)
    status, _, err = run_cli(
        "predict", "--model", fused, "--predictions", short, "--out", tmp_path / "a.csv"
    )
    assert status == 2
    assert f"{short} has 3 hazard columns" in err


@pytest.mark.slow
def test_hazards_in_place_of_logits_give_the_same(files, fused, fuse, study, write_study, tmp_path):
    def plain(frame):
        prob = {
            f"hazard_{k}": expit(frame[f"hazard_logit_{k}"].to_numpy()) for k in range(1, T + 1)
        }
        return pl.DataFrame({"sample_id": frame["sample_id"], **prob})

    other = Study(study.samples, {name: plain(frame) for name, frame in study.experts.items()})
    out = fuse(*write_study(tmp_path, other, ".parquet"))
    one, two = (
        pl.read_parquet(o / "fused.parquet").select(HAZARDS).to_numpy() for o in (fused, out)
    )
    np.testing.assert_allclose(one, two, rtol=1e-3)


def test_columns_that_carry_no_prediction_are_named_in_the_manifest(
    fuse, study, write_study, tmp_path
):
    experts = {
        **study.experts,
        "expert_0": study.experts["expert_0"].with_columns(note=pl.lit("x")),
    }
    out = fuse(*write_study(tmp_path, Study(study.samples, experts)), "--method", "uniform_product")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["experts"]["expert_0"]["columns_ignored"] == ["note"]


# Ways to run


@pytest.mark.slow
def test_folds(fuse, write_study, tmp_path):
    study = simulate(n_folds=3, per_patient=2)
    out = fuse(*write_study(tmp_path, study))
    table = pl.read_parquet(out / "fused.parquet")
    assert table["sample_id"].to_list() == study.samples["sample_id"].to_list()
    certificate = json.loads((out / "certificate.json").read_text())
    assert certificate["holds"]
    assert [f["holds"] for f in certificate["folds"].values()] == [True] * 3
    joined = table.join(study.samples, on="sample_id")
    parts = [(part["patient_id"].n_unique(), own_nll(part)) for part in joined.partition_by("fold")]
    weights, values = zip(*parts, strict=True)
    assert metrics_of(out)["nll"] == pytest.approx(np.average(values, weights=weights), rel=1e-9)


def test_unit_patient(fuse, write_study, tmp_path):
    study = simulate(per_patient=2)
    rows = pl.read_csv(fuse(*write_study(tmp_path, study), "--unit", "patient") / "metrics.csv")
    assert set(rows.filter(pl.col("method") == "fused")["n"]) == {20}
    assert set(rows.filter(pl.col("method") == "fused")["n_patients"]) == {20}


def test_unit_patient_with_two_truths(run_cli, write_study, tmp_path):
    study = simulate(per_patient=2)
    study = Study(
        study.samples.with_columns(time=pl.col("time") + 15.0 * (pl.int_range(pl.len()) % 2)),
        study.experts,
    )
    samples, predictions = write_study(tmp_path, study)
    given = (
        "--samples",
        samples,
        "--predictions",
        predictions,
        "--time-edges",
        EDGES,
        "--out",
        tmp_path / "out",
    )
    status, _, err = run_cli("fuse", *given, "--unit", "patient", "--resamples", 120)
    assert status == 2
    assert "--unit patient needs one truth per patient" in err.splitlines()[-1]


@pytest.mark.parametrize("method", ["logitprod", "auto"])
@pytest.mark.slow
def test_a_gate_per_bin(fuse, files, fused, run_cli, tmp_path, method):
    out = fuse(*files, "--gate", "per_bin", "--method", method)
    certificate = json.loads((out / "certificate.json").read_text())
    assert certificate["holds"]
    table = pl.read_parquet(out / "fused.parquet")
    weights = table.select(f"weight_{name}" for name in EXPERTS).to_numpy()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    assert metrics_of(out, "logitprod") != metrics_of(fused, "logitprod")
    assert metrics_of(out, "stacking") == metrics_of(fused, "stacking")
    assert (
        run_cli(
            "predict", "--model", out, "--predictions", files[1], "--out", tmp_path / "a.parquet"
        ).status
        == 0
    )
    again = pl.read_parquet(tmp_path / "a.parquet").drop("seen_in_fit")
    assert again.filter(pl.col("sample_id").is_in(table["sample_id"].implode())).equals(table)


@pytest.mark.parametrize("method", ["hazard_product", "choose"])
@pytest.mark.slow
def test_other_methods(fuse, files, method):
    out = fuse(*files, "--method", method)
    if method == "hazard_product":
        assert metrics_of(out) == metrics_of(out, "hazard_product")
        assert json.loads((out / "certificate.json").read_text())["holds"]
    else:
        chosen = json.loads((out / "manifest.json").read_text())["inner_cross_validation"][0][
            "all"
        ]["chosen"]
        assert metrics_of(out) == metrics_of(out, chosen)


@pytest.mark.slow
def test_expert_dropout(fuse, files, fused):
    out = fuse(*files, "--expert-dropout", 0.3)
    assert metrics_of(out, "logitprod") != metrics_of(fused, "logitprod")
    assert metrics_of(out, "hazard_product") == metrics_of(fused, "hazard_product")


@pytest.mark.slow
def test_half_of_the_bin_for_the_censored(fuse, files, fused):
    out = fuse(*files, "--censoring", "half")
    for name in EXPERTS:  # a censored case says more, or rather asks less
        assert metrics_of(out, name)["nll"] < metrics_of(fused, name)["nll"]
        assert metrics_of(out, name)["c_index"] == metrics_of(fused, name)["c_index"]
    assert json.loads((out / "manifest.json").read_text())["endpoint"]["censoring"] == "half"


@pytest.mark.slow
def test_edges_from_parquet_metadata(fuse, fused, study, write_study, tmp_path):
    samples, predictions = write_study(tmp_path, study, ".parquet")
    study.samples.write_parquet(samples, metadata={"time_edges": EDGES})
    out = fuse(samples, predictions, edges=None)
    assert (out / "metrics.csv").read_bytes() == (fused / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_edges_from_the_metadata_of_an_expert(fuse, fused, study, write_study, tmp_path):
    samples, predictions = write_study(tmp_path, study)
    (predictions / "expert_1.csv").unlink()
    study.experts["expert_1"].write_parquet(
        predictions / "expert_1.parquet", metadata={"time_edges": f"[{EDGES}]"}
    )
    out = fuse(samples, predictions, edges=None)
    assert (out / "metrics.csv").read_bytes() == (fused / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_edges_from_a_file(fuse, fused, files, tmp_path):
    (tmp_path / "edges.txt").write_text(EDGES + "\n")
    out = fuse(*files, edges=tmp_path / "edges.txt")
    assert (out / "metrics.csv").read_bytes() == (fused / "metrics.csv").read_bytes()


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
    status, _, err = run_cli("evaluate", *given, "--time-edges", EDGES)
    assert status == 0, err
    for name in (*EXPERTS, "best_expert", "mean_probability", "uniform_product"):
        assert metrics_of(tmp_path / "out", name) == pytest.approx(
            metrics_of(fused, name), rel=1e-12
        )


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

    def check(*parts, edges=EDGES, samples=None, command="fuse", more=()):
        before = place.content()
        given = (
            "--samples",
            samples or place.samples,
            "--predictions",
            place.predictions,
            "--out",
            place.folder / "o",
        )
        given += (
            "--resamples",
            120,
            *(("--time-edges", edges) if edges is not None else ()),
            *more,
        )
        status, out, err = run_cli(command, *given)
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


def cell(column, value):
    changed = (
        pl.when(pl.col("sample_id") == "s004")
        .then(pl.lit(value))
        .otherwise(pl.col(column).cast(pl.String))
    )
    return changed.alias(column)


@pytest.mark.parametrize(
    ("value", "shown"), [("0", "0 is"), ("-3.5", "-3.5 is"), ("inf", "inf is")]
)
def test_a_time_that_is_not_above_zero(place, refused, value, shown):
    place.edit(place.samples, cell("time", value))
    refused(place.samples, "column 'time'", "sample 's004'", shown, "not a time above 0")


@pytest.mark.parametrize(("value", "shown"), [("2", "2 is"), ("-1", "-1 is"), ("0.5", "0.5 is")])
def test_an_event_that_is_neither_0_nor_1(place, refused, value, shown):
    place.edit(place.samples, cell("event", value))
    refused(
        place.samples,
        "column 'event'",
        "sample 's004'",
        shown,
        "neither 1 (observed) nor 0 (censored)",
    )


@pytest.mark.parametrize("column", ["time", "event"])
@pytest.mark.parametrize("value", ["NaN", None])
def test_a_sample_without_follow_up_is_left_out(place, refused, column, value):
    place.edit(place.samples, cell(column, value))
    refused(place.samples, "no follow-up", "'s004'", "without --strict", more=["--strict"])


def test_an_event_in_words(place, refused):
    place.edit(place.samples, cell("event", "unwell"))
    refused(place.samples, "column 'event'", "sample 's004'", "'unwell' is neither 1 (observed")


def test_all_censored(place, refused):
    place.edit(place.samples, pl.lit(0).alias("event"))
    refused(place.samples, "column 'event'", "all 90 cases are censored")


@pytest.mark.parametrize(
    ("edges", "bins"), [("0,12,24,inf", 3), ("0,12,24,36,48,inf", 5)], ids=["fewer", "more"]
)
@pytest.mark.parametrize("command", ["fuse", "evaluate"])
def test_edges_that_do_not_fit_the_hazard_columns(place, refused, edges, bins, command):
    wanted = f"{bins + 1} time edges make {bins} bins: hazard_logit_1 to hazard_logit_{bins}"
    refused(place.expert, "has 4 hazard columns", wanted, edges=edges, command=command)


@pytest.mark.parametrize(
    "edges", ["0,24,12,36,inf", "0,12,12,36,inf", "0,12,nan,36,inf", "inf,0,12,24,36"]
)
def test_edges_that_do_not_increase(refused, edges):
    refused("--time-edges", edges, "the edges do not increase", edges=edges)


def test_edges_that_are_no_numbers(place, refused):
    refused("--time-edges", "'0;12;24'", "neither a list of numbers", "nor a file", edges="0;12;24")
    refused("--time-edges", place.folder / "no.txt", "nor a file", edges=place.folder / "no.txt")
    refused("--time-edges", "nor a file", edges="soon," * 200)
    refused("--time-edges", place.samples, "the file holds no list of numbers", edges=place.samples)
    (place.folder / "edges.txt").write_bytes(b"\xff\xfe0,12")
    refused(
        "--time-edges",
        "edges.txt",
        "the file holds no list of numbers",
        edges=place.folder / "edges.txt",
    )
    refused("--time-edges", "nor a file", edges=place.predictions)


def test_one_edge(refused):
    refused("--time-edges 12", "at least two edges", edges="12")


def test_no_edges(place, refused):
    refused(
        place.samples,
        "'time' and 'event'",
        "--time-edges 0,12,24,inf",
        "'pathfuse bins'",
        edges=None,
    )


def test_edges_that_differ_between_files(place, refused, study):
    for name, edges in (("expert_0", EDGES), ("expert_1", "0,1,2,3,inf")):
        (place.predictions / f"{name}.csv").unlink()
        study.experts[name].write_parquet(
            place.predictions / f"{name}.parquet", metadata={"time_edges": edges}
        )
    one, other = (place.predictions / f"expert_{m}.parquet" for m in (0, 1))
    refused("the time edges differ", EDGES, one, "0,1,2,3,inf", other, edges=None)


def test_edges_in_metadata_that_are_none(place, refused, study):
    (place.predictions / "expert_1.csv").unlink()
    file = place.predictions / "expert_1.parquet"
    study.experts["expert_1"].write_parquet(file, metadata={"time_edges": "monthly"})
    refused(file, "'monthly'", "not a list of numbers", edges=None)


def test_experts_with_different_numbers_of_bins(place, refused):
    other = place.predictions / "expert_1.csv"
    pl.read_csv(other).drop("hazard_logit_4").write_csv(other)
    refused(other, "has 3 hazard columns", "5 time edges make 4 bins")


def test_a_value_that_is_no_hazard(place, refused):
    pl.read_csv(place.expert).rename(lambda name: name.replace("_logit", "")).write_csv(
        place.expert
    )
    refused(place.expert, "column 'hazard_", "not a hazard between 0 and 1", "'hazard_logit_<k>'")


def test_a_time_before_the_first_edge(place, refused):
    place.edit(place.samples, cell("time", "3"))
    refused(
        place.samples,
        "column 'time'",
        "sample 's",
        "is not after the first edge, 6",
        edges="6,12,24,36,inf",
    )


def test_an_unknown_rule_for_censoring(refused):
    refused("censoring 'never' is unknown", "later or half", more=("--censoring", "never"))


def test_an_unknown_gate(refused):
    refused("gate 'each' is unknown", "shared or per_bin", more=("--gate", "each"))


# Bins


@pytest.fixture
def bins(run_cli, tmp_path):
    """``bins(frame, *more) -> (answer, file of edges)``."""

    def run(frame, *more):
        frame.write_csv(tmp_path / "people.csv")
        out = tmp_path / "edges.txt"
        return run_cli("bins", "--samples", tmp_path / "people.csv", "--out", out, *more), out

    return run


def people(times, event=1, split="fit", more_test=True):
    """Fit rows with these times, and a test row that must not matter."""
    n = len(times)
    frame = pl.DataFrame({"sample_id": [f"s{i}" for i in range(n)], "time": [float(t) for t in times],
                          "event": [event] * n if isinstance(event, int) else event, "split": [split] * n})  # fmt: skip
    test = pl.DataFrame({"sample_id": ["t0"], "time": [1e6], "event": [1], "split": ["test"]})
    return pl.concat([frame, test]) if more_test else frame


def edges_in(file):
    (line,) = file.read_text().splitlines()
    return [float(edge) for edge in line.split(",")]


def test_bins_are_quantiles_of_the_fit_rows_event_times(bins, study):
    (status, said, err), out = bins(study.samples)
    assert (status, err) == (0, "")
    fit = study.samples.filter(pl.col("split") == "fit")
    events = fit.filter(pl.col("event") == 1)["time"].to_numpy()
    expected = np.quantile(events, [0.25, 0.5, 0.75])
    edges = edges_in(out)
    assert edges[0] == 0
    assert edges[-1] == np.inf
    np.testing.assert_allclose(edges[1:-1], expected, rtol=1e-3)
    assert all(len(repr(edge).replace(".", "").strip("0")) <= 4 for edge in edges[1:-1])
    assert out.read_text().startswith("0,")
    assert f'--time-edges "$(cat {out})"' in said
    counts = [
        [int(x) for x in re.findall(r"│ +(\d+)", line)]
        for line in said.splitlines()
        if line.startswith("│ (")
    ]
    assert sum(n for n, _ in counts) == len(events)
    assert sum(n for _, n in counts) == fit.height - len(events)
    assert max(n for n, _ in counts) - min(n for n, _ in counts) <= 2


@pytest.mark.slow
def test_bins_serve_a_run(bins, fuse, study, write_study, tmp_path):
    _, out = bins(study.samples)
    folder = fuse(*write_study(tmp_path / "study", study), "--method", "uniform_product", edges=out)
    named = json.loads((folder / "manifest.json").read_text())["endpoint"]["time_edges"]
    assert [float(edge) for edge in named] == edges_in(out)


def test_bins_by_hand(bins):
    (_, said, _), out = bins(people([2, 4, 6, 8, 5, 7], [1, 1, 1, 1, 0, 0]), "--bins", 2)
    assert (
        out.read_text() == "0,5,inf\n"
    )  # the censored at 5 and 7 do not move the median of 2, 4, 6, 8
    assert re.search(r"\(0, 5\] +│ +2 │ +1 ", said)
    assert re.search(r"\(5, inf\] +│ +2 │ +1 ", said)


def test_bins_with_folds_count_all_rows(bins):
    frame = (
        people([2, 4, 6, 8], more_test=False)
        .drop("split")
        .with_columns(fold=pl.int_range(pl.len()) % 2)
    )
    assert bins(frame, "--bins", 2)[1].read_text() == "0,5,inf\n"


def test_bins_of_train_rows_only_when_asked(bins):
    frame = pl.concat([people([2, 4, 6, 8]), people([100, 200], split="train", more_test=False)
                       .with_columns(sample_id="x" + pl.col("sample_id"))])  # fmt: skip
    assert bins(frame, "--bins", 2)[1].read_text() == "0,5,inf\n"
    assert bins(frame, "--bins", 2, "--allow-in-sample", "--force")[1].read_text() == "0,7,inf\n"


@pytest.mark.parametrize(
    ("times", "edges", "n"),
    [
        ([1, 1, 1, 1, 1, 2, 3, 4], [0, 1, 2.25, np.inf], 3),
        (
            [1, 2, 3, 4, 4, 4, 4, 4],
            [0, 2.75, np.inf],
            2,
        ),  # an edge at the last event would leave an empty bin
    ],
)
def test_bins_merge_tied_times_and_say_so(bins, times, edges, n):
    (status, said, _), out = bins(people(times))
    assert status == 0
    assert edges_in(out) == edges
    assert f"Event times are tied: {n} bins, not 4." in said


@pytest.mark.parametrize(
    "times", [[1000.1, 1000.2, 1000.3, 1000.4], [1e-7, 2e-7, 3e-7, 4e-7], [1e9, 2e9, 3e9, 4e9]]
)
def test_rounding_keeps_the_order_and_an_event_in_every_bin(bins, times):
    (status, said, _), out = bins(people(times))
    assert status == 0
    edges = np.array(edges_in(out))
    assert np.all(np.diff(edges) > 0)
    assert np.histogram(times, [*edges[:-1], max(times) + 1])[0].tolist() == [1, 1, 1, 1]
    assert "tied" not in said


@pytest.mark.parametrize(
    ("frame", "more", "parts"),
    [
        (
            people([1, 2, 3, 3]),
            (),
            ("column 'time'", "4 fit rows have 3 distinct event times", "too few for 4 bins"),
        ),
        (people([1, 2, 3, 4], 0), (), ("4 fit rows have 0 distinct event times",)),
        (people([1, 2, 3, -4]), (), ("column 'time'", "sample 's3'", "not a time above 0")),
        (people([1, 2, 3, 4], [1, 1, 1, 7]), (), ("column 'event'", "sample 's3'", "7 is neither")),
        (
            people([1, 2, 3, 4]).drop("event"),
            (),
            ("no target column of endpoint 'survival'", "its columns are"),
        ),
        (people([1, 2, 3, 4]).drop("split"), (), ("neither a column 'split' nor a column 'fold'",)),
        (
            people([1, 2, 3, 4], split="train"),
            (),
            ("no row has the role 'fit'", "--allow-in-sample"),
        ),
        (people([1, 2, 3, 4]), ("--bins", 1), ("--bins 1 is too few",)),
        (people([1, 2, 3, 4]), ("--bins", "few"), ("--bins", "few")),
    ],
)
def test_bins_of_bad_input(bins, frame, more, parts):
    (status, said, err), out = bins(frame, *more)
    assert (status, said) == (2, "")
    assert err.startswith("pathfuse: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    assert not out.exists()


def test_bins_overwrite_only_when_told(bins):
    frame = people([2, 4, 6, 8])
    (_, out) = bins(frame, "--bins", 2)
    (status, _, err), _ = bins(frame, "--bins", 3)
    assert status == 2
    assert f"the output {out} exists already; --force" in err
    assert out.read_text() == "0,5,inf\n"
    assert bins(frame, "--bins", 3, "--force")[0].status == 0
    assert out.read_text() == "0,4,6,inf\n"
    assert not [p for p in out.parent.iterdir() if p.name.startswith(".")]


def test_bins_never_overwrite_the_samples(bins, run_cli, tmp_path):
    frame = people([2, 4, 6, 8])
    bins(frame)
    file = tmp_path / "people.csv"
    status, _, err = run_cli("bins", "--samples", file, "--out", file, "--force")
    assert status == 2
    assert "is the samples table itself" in err
    assert pl.read_csv(file).height == 5


def test_bins_where_nothing_can_be_written(bins, run_cli, tmp_path):
    bins(people([2, 4, 6, 8]))
    given = ("bins", "--samples", tmp_path / "people.csv", "--out")
    status, _, err = run_cli(*given, tmp_path / "people.csv" / "edges.txt")
    assert status == 2
    assert "cannot be written" in err
    (tmp_path / "folder").mkdir()
    status, _, err = run_cli(*given, tmp_path / "folder", "--force")
    assert status == 2
    assert "is a folder, not a file" in err
    status, _, err = run_cli(*given, "/proc/pathfuse/new.txt")  # takes no file, not even from root
    assert status == 2
    assert "cannot be written" in err
