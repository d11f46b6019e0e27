"""What commands claim: the positive class, patients, who was picked, and whether anything was
learned."""

import json
import re

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.report.content import over_all
from pathfuse.report.headline import headline
from pathfuse.workflows.demo_study import write_demo_study

ALONE = "no patients were given, so intervals treat each as independent"


def page_text(folder):
    text = re.sub(
        r"<style>.*?</style>|<script>.*?</script>",
        "",
        (folder / "report.html").read_text(),
        flags=re.DOTALL,
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


@pytest.fixture(scope="module")
def binary(make_study, tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("binary"), 60, 40, 2, ("benign", "tumor"))


@pytest.fixture(scope="module")
def run(run_cli, tmp_path_factory):
    def call(command, samples, predictions, *more):
        out = tmp_path_factory.mktemp("run") / "out"
        options = ("--method", "static_product") if command == "fuse" else ()
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
        return out, run_cli(command, *given, *options, *more)

    return call


@pytest.fixture(scope="module")
def both(run, binary):
    """The same study with the positive class of the alphabet, and with the other one."""
    plain, said = run("fuse", *binary)
    chosen, other = run("fuse", *binary, "--positive", "benign")
    assert (said.status, other.status) == (0, 0)
    return (plain, said), (chosen, other)


def test_the_positive_class_is_named_everywhere(both):
    reasons = (
        "tumor (second in alphabetical order; --positive chooses)",
        "benign (chosen with --positive)",
    )
    for (folder, said), reason, name in zip(both, reasons, ("tumor", "benign"), strict=True):
        assert f"Positive class: {reason}" in said.out
        assert page_text(folder).count(f"ositive class: {reason}") >= 3  # lead, ROC, calibration
        assert f"The positive class was {name}." in page_text(folder)
        found = json.loads((folder / "manifest.json").read_text())["positive_class"]
        assert found == {"name": name, "chosen": name == "benign"}
        assert f"sensitivity for {name}" in (folder / "figures/roc.svg").read_text()
        assert f"probability of {name}" in (folder / "figures/reliability.svg").read_text()


def test_another_positive_class_turns_the_curves_and_no_figure(both):
    (plain, _), (chosen, _) = both
    for table in ("tests.csv", "fused.parquet"):
        assert (plain / table).read_bytes() == (chosen / table).read_bytes()
    for table in ("metrics.csv", "comparisons.csv"):  # AUPRC is the only metric of one class
        one, other = (pl.read_csv(f / table) for f in (plain, chosen))
        same = pl.col("metric") != "auprc"
        assert one.filter(same).equals(other.filter(same))
        assert not one.filter(~same).equals(other.filter(~same))
    roc, turned = (
        pl.read_csv(f / "curves.csv").filter(figure="roc", method="fused") for f in (plain, chosen)
    )
    assert set(turned["group"]) == {"benign"}
    points = {(round(1 - y, 9), round(1 - x, 9)) for x, y in roc.select("x", "y").iter_rows()}
    others = {(round(x, 9), round(y, 9)) for x, y in turned.select("x", "y").iter_rows()}
    assert (
        len(points ^ others) <= 2 < len(points & others)
    )  # corners on a straight end may be left out
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(np.trapezoid(turned["y"], turned["x"]))
    calibration, other = (
        pl.read_csv(f / "reliability.csv").filter(method="fused") for f in (plain, chosen)
    )
    assert (calibration["what"][0], other["what"][0]) == (
        "probability of tumor",
        "probability of benign",
    )
    assert sorted(1 - calibration["expected"]) == pytest.approx(sorted(other["expected"]), abs=1e-9)


@pytest.mark.parametrize("command", ["fuse", "evaluate"])
def test_a_positive_class_that_does_not_exist(run, binary, command):
    out, said = run(command, *binary, "--positive", "Tumor")
    assert said.status == 2
    assert (
        said.err.splitlines()[-1]
        == "pathfuse: --positive 'Tumor' is none of the classes, which are benign, tumor"
    )
    assert not out.exists()


def test_a_positive_class_of_three_and_of_another_endpoint(run, make_study, binary, tmp_path):
    _, said = run("evaluate", *make_study(tmp_path / "three"), "--positive", "tumor")
    words = "--positive 'tumor' chooses one of two classes, but there are 3: adipose, stroma, tumor"
    assert (said.status, said.err.splitlines()[-1]) == (2, f"pathfuse: {words}")
    ids = [f"s{i}" for i in range(20)]
    samples = pl.DataFrame({"sample_id": ids, "split": "test", "target_x": np.arange(20.0)})
    frame = pl.DataFrame({"sample_id": ids, "mean_x": np.arange(20.0)})
    study = pathfuse.read_study(samples, {"one": frame})
    with pytest.raises(
        pathfuse.InputError, match="one of two classes, but the endpoint is regression"
    ):
        pathfuse.evaluate(study, positive="x")


def test_no_patients_are_claimed_where_none_were_given(both):
    (folder, said), _ = both
    text = page_text(folder)
    assert f"40 samples; {ALONE}" in " ".join(said.out.split())
    assert f"judged on 40 samples; {ALONE}" in text
    assert "by patient" not in text + said.out
    assert not re.search(r"\d patients", text + said.out)
    assert "bootstrap by sample" in text
    assert json.loads((folder / "manifest.json").read_text())["drawn"] == "sample"


def test_patients_are_counted_where_some_were_given(run, make_study, tmp_path):
    samples, predictions = make_study(tmp_path, 60, 40, 2, ("benign", "tumor"), per_patient=2)
    table = pl.read_csv(samples)
    row = pl.int_range(pl.len())
    table.with_columns(patient_id=pl.when(row < 98).then("patient_id")).write_csv(samples)
    folder, said = run("evaluate", samples, predictions)
    words = "40 samples of 19 patients and 2 without a patient, which stand for themselves"
    assert words in " ".join(said.out.split())
    assert words in page_text(folder)
    assert "by patient" in said.out
    assert ALONE not in page_text(folder)


@pytest.mark.slow
def test_folds_name_who_was_picked(run, make_study, tmp_path):
    samples, predictions = make_study(tmp_path, 60, 0, 2, ("benign", "tumor"), n_folds=3, seed=4)
    folder, said = run("fuse", samples, predictions)
    manifest = json.loads((folder / "manifest.json").read_text())
    inner = {part["fold"]: part["all"] for part in manifest["best_experts"]}
    certificate = json.loads((folder / "certificate.json").read_text())
    assert inner == {fold: one["best_expert"] for fold, one in certificate["folds"].items()}
    assert manifest["best_expert_of_all_folds"] == certificate["best_expert"]
    assert all(name in " ".join(said.out.split()) for name in set(inner.values()))
    again, _ = run("evaluate", samples, predictions)
    picked = json.loads((again / "manifest.json").read_text())["best_experts"]
    assert picked == manifest["best_experts"]


def noise(seed, n=160):
    """Five experts that know nothing of three classes, and are sure of it."""
    rng = np.random.default_rng(seed)
    ids = [f"s{i:03d}" for i in range(n)]
    samples = {"sample_id": ids, "split": np.where(np.arange(n) % 2, "test", "fit")}
    samples["label"] = [f"c{k}" for k in rng.integers(3, size=n)]
    said = {f"e{m}": {f"logit_c{k}": 1.5 * rng.normal(size=n) for k in range(3)} for m in range(5)}
    frames = {name: pl.DataFrame({"sample_id": ids, **columns}) for name, columns in said.items()}
    return pathfuse.read_study(pl.DataFrame(samples), frames)


def said_of(result):
    return headline(over_all(result.comparisons), result.manifest)


@pytest.mark.parametrize("seed", range(4))
def test_a_pool_that_knows_nothing_learned_nothing(seed):
    """Issue 15, item 17: five experts of noise gave "0.105 better than the best expert" and no
    warning."""
    result = pathfuse.fuse(noise(seed), n_resamples=100)
    assert said_of(result).startswith("The fusion learned nothing")
    assert "best expert" not in said_of(result)
    assert "the class frequencies of the fit rows" in said_of(result)
    (warning,) = (w for w in result.manifest["warnings"] if "learned nothing" in w)
    assert warning.split(":")[0] == said_of(result).split(":")[0].replace("The", "the")
    (null,) = result.metrics.filter(method="null_model", metric="auroc")["value"]
    assert null == 0.5
    study = noise(seed)
    frequency = study.frequency("all", np.flatnonzero(study.samples.roles == "fit"))
    judged = study.truth["all"].observed[study.samples.roles == "test"]
    (nll,) = result.metrics.filter(method="null_model", metric="nll")["value"]
    assert nll == pytest.approx(-np.log(judged @ frequency).mean())


def test_a_real_study_learned_something(tmp_path):
    """The demo's; ``tests/test_shared_studies.py`` looks at a fusion of the same data."""
    samples, predictions = write_demo_study(tmp_path)
    result = pathfuse.evaluate(pathfuse.read_study(samples, predictions), n_resamples=100)
    assert said_of(result).startswith("5 experts judged on 228 samples; no patients were given")
    assert not result.manifest["warnings"]
    null = result.manifest["null_model"]["outputs"]["all"]
    assert [one["better"] for one in null["methods"].values()].count(True) >= 3


def test_an_expert_may_not_be_called_null_model(run, binary, tmp_path):
    (tmp_path / "null_model.csv").write_bytes((binary[1] / "expert_0.csv").read_bytes())
    for command in ("fuse", "evaluate"):
        _, said = run(command, binary[0], tmp_path)
        assert said.status == 2
        assert said.err.splitlines()[-1].endswith(
            "the name 'null_model' belongs to a method; rename the expert"
        )


def test_the_null_model_is_a_reference_and_no_competitor(both):
    (folder, _), _ = both
    comparisons = pl.read_csv(folder / "comparisons.csv").filter(reference="null_model")
    assert set(comparisons["method"]) == {"fused", "logitprod"}
    assert (comparisons["p_holm"] == comparisons["p_value"]).all()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "null_model" not in manifest["inner_cross_validation"][0]["all"]["inner_nll"]
    assert "null_model" not in set(
        pl.read_csv(folder / "tests.csv", infer_schema_length=None)["reference"]
    )
    assert "null_model" not in set(pl.read_csv(folder / "curves.csv")["method"])
    assert "Not drawn: null_model, NLL 0.69" in page_text(folder)
    ranked = pathfuse.rank([folder, both[1][0]], metric="nll")
    assert "null_model" not in set(ranked.summary["method"])
