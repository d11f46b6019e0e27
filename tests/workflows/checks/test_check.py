"""What ``check`` shows, and that runs carry its alarms."""

import polars as pl
import pytest

import pathfuse
from pathfuse.errors import FaultsError, InputError
from pathfuse.study.reading import Reading
from pathfuse.workflows.evaluate import faults_of_evaluate
from pathfuse.workflows.fuse import faults_of_fuse


def read(made):
    return pathfuse.read_study(made.samples, made.experts, time_edges=made.edges)


def test_the_table_has_a_line_for_each_expert(sound):
    made = sound["classes"]
    half = {**made.experts, "uni": made.experts["uni"].head(120)}
    found = pathfuse.check(pathfuse.read_study(made.samples, half))
    line = found.table.row(1, named=True)
    assert (line["expert"], line["rows"], line["outcomes"]) == ("uni", 120, 3)
    assert (line["coverage_fit"], line["coverage_judged"]) == (0.5, 0.5)
    assert line["metric"] == "auroc"
    assert 0.5 < line["value"] < 1
    assert 0 < line["lowest"] < line["highest"] < 1
    assert found.silent
    assert (found.samples, found.outcomes) == (240, ("c0", "c1", "c2"))


@pytest.mark.parametrize(("kind", "metric"), [("survival", "c_index"), ("numbers", "pearson")])
def test_other_endpoints_have_their_own_measure(sound, kind, metric):
    table = pathfuse.check(read(sound[kind])).table
    assert set(table["metric"]) == {metric}


def test_without_roles_all_rows_are_looked_at(sound):
    made = sound["two classes"]
    study = pathfuse.read_study(made.samples.drop("split"), made.experts)
    found = pathfuse.check(study)
    assert found.silent
    assert found.rows_in_words == "rows"
    assert found.table["coverage_fit"].null_count() == 3


def test_runs_warn_and_the_headline_begins_with_it(sound):
    made = sound["two classes"]
    uni = made.experts["uni"].rename({"logit_c0": "logit_c1", "logit_c1": "logit_c0"})
    study = pathfuse.read_study(made.samples, {**made.experts, "uni": uni})
    for run in (pathfuse.evaluate, pathfuse.fuse):
        options = {"method": "static_product"} if run is pathfuse.fuse else {}
        manifest = run(study, n_resamples=0, **options).manifest
        (alarm,) = manifest["alarms"]
        assert alarm["check"] == "wrong way round"
        assert alarm["sentence"] in manifest["warnings"]


def test_reading_names_every_faulty_expert(sound):
    made = sound["classes"]
    bad = made.experts["uni"].rename({"logit_c0": "logit_c9"})
    other = made.experts["conch"].with_columns(logit_c1=pl.lit("high"))
    with pytest.raises(FaultsError) as error:
        pathfuse.read_study(made.samples, {**made.experts, "uni": bad, "conch": other})
    assert len(error.value.faults) == 2
    assert str(error.value).endswith("(and 1 more fault; 'pathfuse check' lists them all)")


def test_one_fault_is_said_as_it_is(sound):
    made = sound["classes"]
    bad = made.experts["uni"].rename({"logit_c0": "logit_c9"})
    with pytest.raises(InputError) as error:
        pathfuse.read_study(made.samples, {**made.experts, "uni": bad})
    assert not isinstance(error.value, FaultsError)


def test_a_dry_run_says_everything_that_a_run_would_refuse(sound):
    made = sound["classes"]
    samples = made.samples.filter((pl.col("split") == "test") | (pl.col("label") != "c2"))
    study = pathfuse.read_study(samples, made.experts, reading=Reading(allow_partial=True))
    faults = faults_of_fuse(study, interval="odd", positive="c0")
    assert len(faults) == 3
    assert "chooses one of two classes" in faults[0]
    assert "interval 'odd'" in faults[1]
    assert "the class 'c2' has no fit row" in faults[2]
    assert len(faults_of_evaluate(study, n_resamples=-1)) == 1
    assert faults_of_fuse(read(made)) == []
