"""What the training of experts left out is known to the fusion, even where the samples table is
without it."""

import json

import polars as pl

from pathfuse.study.study import read_study
from pathfuse.workflows.steps.trained import trained_left_out, trained_manifests

GONE = {"reason": "sample without any usable slide", "n": 54, "first": ["P001"], "samples": 54}


def study_of(folder, manifest):
    (folder / "predictions").mkdir(parents=True)
    ids = ["s1", "s2", "s3", "s4"]
    expert = pl.DataFrame({"sample_id": ids, "prob_a": [0.5] * 4, "prob_b": [0.5] * 4})
    expert.write_parquet(folder / "predictions" / "uni.parquet")
    expert.write_csv(folder / "other.csv")
    pl.DataFrame(
        {"sample_id": ids, "split": ["fit", "fit", "test", "test"], "label": ["a", "b"] * 2}
    ).write_csv(folder / "samples.csv")
    (folder / "manifest.json").write_text(manifest)
    files = [str(folder / "predictions" / "uni.parquet"), str(folder / "other.csv")]
    return read_study(folder / "samples.csv", files)


def test_lines_of_the_trained(tmp_path):
    study = study_of(tmp_path / "out", json.dumps({"left_out": [GONE, "odd", {"n": 1}]}))
    assert trained_manifests(study) == {"uni": tmp_path / "out" / "manifest.json"}
    assert trained_left_out(study) == [{"expert": "uni", **GONE}]


def test_a_manifest_that_says_nothing(tmp_path):
    for n, odd in enumerate(("{", "{}", "[]", '{"left_out": 3}')):
        assert trained_left_out(study_of(tmp_path / str(n), odd)) == []
