"""``pathfuse adapt`` from the outside."""

import polars as pl
import pytest

import pathfuse
from pathfuse.online.methods import NAMES


@pytest.fixture(scope="module")
def study(tmp_path_factory, simulate, write_study):
    """A small study, and a model of it."""
    place = tmp_path_factory.mktemp("adapt")
    samples, predictions = write_study(place / "study", simulate(60, 40))
    read = pathfuse.read_study(samples, [predictions])
    fused = pathfuse.fuse(read, method="static_product", n_resamples=0)
    fused.model.save(place / "model")
    return place / "model", ["--samples", samples, "--predictions", predictions]


@pytest.fixture
def fitted(study, tmp_path):
    return ["adapt", "--model", study[0], "--out", tmp_path / "out"], study[1]


def test_it_predicts_learns_shows_and_is_taken_back(tmp_path, run_cli, fitted):
    command, given = fitted
    said = run_cli(*command, *given, "--delay", 10)
    assert said.status == 0
    assert "60 samples were among the fit rows" in said.err
    assert "40 samples predicted, 30 labels learned, 10 more not due yet, 1 update\n" in said.out
    assert "adapted minus frozen" in said.out
    assert "Weights for the next sample (all): fused" in said.out
    before = (tmp_path / "out/adapted.parquet").read_bytes()
    assert "Nothing to predict or to learn was new" in run_cli(*command, *given, "--delay", 10).out
    again = run_cli(*command, *given[:2])  # without a delay all labels are due
    assert "40 samples predicted, 40 labels learned, 2 updates" in again.out
    assert run_cli(*command, "--undo", 1).status == 0
    assert (tmp_path / "out/adapted.parquet").read_bytes() == before
    refused = run_cli(*command, "--undo", 1)
    assert refused.status == 2
    assert "--undo 1 is out of range: the folder has 1 update, and the first stays" in refused.err


def test_the_help_names_every_method(run_cli):
    said = run_cli("adapt", "--help").out
    assert all(name in said for name in NAMES)


def test_bad_input_is_a_sentence(tmp_path, run_cli, fitted):
    command, given = fitted
    for options, sentence in (
        (["--delay", -1], "--delay -1 is negative"),
        (["--labelled-at", "day"], "--labelled-at needs --order COLUMN"),
        (["--order", "day"], "has no column 'day'"),
        (["--by", "hedge"], "--by 'hedge' is unknown; choose one of fixed_share, bayes, boa"),
        (["--undo", 1], "give no --predictions and --samples"),
    ):
        said = run_cli(*command, *given, *options)
        assert said.status == 2
        assert sentence in said.err
        assert not (tmp_path / "out").exists()


def test_columns_by_what_they_are(tmp_path, run_cli, fitted):
    command, given = fitted
    named = pl.read_csv(given[1], infer_schema=False).rename({"sample_id": "barcode"})
    named.write_csv(tmp_path / "named.csv")
    options = ["--samples", tmp_path / "named.csv", "--columns", "sample=barcode"]
    assert "40 labels learned" in run_cli(*command, *given[2:], *options).out


def test_samples_without_a_patient_are_said(tmp_path, run_cli, fitted):
    command, given = fitted
    test, number = pl.col("split") == "test", pl.int_range(pl.len())
    named = pl.when(~test | (number % 4 > 0)).then(pl.format("p{}", number // 4))
    table = pl.read_csv(given[1]).with_columns(patient_id=named)
    table.write_csv(tmp_path / "named.csv")
    bare = table.filter(test)["patient_id"].null_count()
    assert bare
    said = run_cli(*command, "--samples", tmp_path / "named.csv", *given[2:])
    assert f"patients and {bare} without a patient, which stand for" in " ".join(said.out.split())
    table.drop("patient_id").write_csv(tmp_path / "none.csv")
    command = [*command[:-1], tmp_path / "none"]
    said = run_cli(*command, "--samples", tmp_path / "none.csv", *given[2:])
    assert "no patients were given" in " ".join(said.out.split())


def test_labels_of_samples_that_nobody_predicted(tmp_path, run_cli, fitted):
    """Fit rows of the model are known, and not counted."""
    command, given = fitted
    assert run_cli(*command, *given).status == 0
    assert "without predictions" not in run_cli(*command, *given[:2]).err
    more = pl.read_csv(given[1]).with_columns(sample_id="new-" + pl.col("sample_id"))
    pl.concat([pl.read_csv(given[1]), more]).write_csv(tmp_path / "more.csv")
    said = run_cli(*command, "--samples", tmp_path / "more.csv")
    assert "100 labels are of samples without predictions" in said.err
    given = ["--samples", tmp_path / "more.csv", *given[2:]]
    assert "100 labels are of samples without predictions" in run_cli(*command, *given).err


def test_regression_is_refused(tmp_path, run_cli):
    ids = [f"s{i}" for i in range(40)]
    value = [float(i % 7) for i in range(40)]
    split = ["fit"] * 20 + ["test"] * 20
    samples = pl.DataFrame({"sample_id": ids, "split": split, "target_GATA3": value})
    experts = {
        f"e{m}": pl.DataFrame(
            {"sample_id": ids, "mean_GATA3": [v + 0.3 * (i % (m + 2)) for i, v in enumerate(value)]}
        )
        for m in range(2)
    }
    study = pathfuse.read_study(samples, experts)
    pathfuse.fuse(study, method="uniform_product", n_resamples=0).model.save(tmp_path / "model")
    experts["e0"].write_csv(tmp_path / "e0.csv")
    given = ["--model", tmp_path / "model", "--predictions", tmp_path / "e0.csv"]
    said = run_cli("adapt", *given, "--out", tmp_path / "out")
    assert said.status == 2
    assert "adapt weighs probabilities of outcomes" in said.err
