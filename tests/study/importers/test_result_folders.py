"""Result folders of fuse and evaluate: found, named, read."""

import json

import pytest

from pathfuse.errors import InputError
from pathfuse.study.importers.result_folders import find, read, study_names

METRICS = (
    "method,output,metric,value,ci_low,ci_high,n,n_patients\n"
    "uni,er,nll,0.9,0.8,1.0,9,9\nuni,all,nll,0.5,0.4,0.6,9,9\nfused,all,nll,0.3,0.2,0.4,9,9\nfused,all,auroc,,,,9,9\n"
)
COMPARISONS = (
    "method,reference,output,metric,difference,ci_low,ci_high,p_value,test\n"
    "fused,uni,all,nll,-0.2,-0.3,-0.1,0.01,b\nfused,uni,er,nll,-0.9,-1,-0.8,0.01,b\nfused,uni,all,auroc,,,,,b\n"
)
MANIFEST = {"endpoint": {"kind": "multilabel"}, "experts": {"uni": {}}}


def make(folder, metrics=METRICS, comparisons=COMPARISONS, manifest=None):
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(metrics)
    (folder / "comparisons.csv").write_text(comparisons)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST) if manifest is None else manifest)
    return folder


def test_reads_the_rows_about_the_whole_study(tmp_path):
    board = read([make(tmp_path / "kather")], "here")
    assert board.scores.rows() == [
        ("kather", "kather", "uni", "nll", 0.5, 0.4, 0.6),
        ("kather", "kather", "fused", "nll", 0.3, 0.2, 0.4),
    ]
    assert board.paired.rows() == [("kather", "nll", "fused", "uni", -0.3, -0.1)]
    assert board.empty_cells == ("kather/fused/auroc",)
    assert board.experts == {"uni"}
    assert set(board.endpoints.values()) == {"multilabel"}
    assert board.default_metric == "nll"
    assert sorted(p.rsplit("/", 1)[1] for p in board.inputs) == [
        "comparisons.csv",
        "manifest.json",
        "metrics.csv",
    ]


def test_the_only_output_counts_as_all(tmp_path):
    text = METRICS.replace(",all,", ",er,").replace("uni,er,nll,0.9,0.8,1.0,9,9\n", "")
    board = read([make(tmp_path / "a", text, COMPARISONS.replace(",all,", ",er,"))], "here")
    assert board.scores["value"].to_list() == [0.5, 0.3]


def test_the_default_metric_is_the_first_that_all_have(tmp_path):
    one = make(tmp_path / "a", METRICS.replace("auroc,,,", "auroc,0.9,,"))
    other = make(tmp_path / "b", METRICS.replace("nll", "rmse").replace("auroc,,,", "auroc,0.9,,"))
    assert read([one, other], "here").default_metric == "auroc"


def test_found_below_but_not_in_hidden_or_too_deep_folders(tmp_path):
    kept = [make(tmp_path / "b/result"), make(tmp_path / "a"), make(tmp_path / "c/d/e")]
    make(tmp_path / ".a.partial-3")
    make(tmp_path / "c/d/f/g")
    make(tmp_path / "a/inside")
    assert find(tmp_path) == [kept[1], kept[0], kept[2]]
    assert find(kept[0]) == [kept[0]]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/kather", "x/wdbc"], ["kather", "wdbc"]),
        (["kather/result", "wdbc/result"], ["kather", "wdbc"]),
        (
            ["one/kather/result", "two/kather/result", "two/wdbc/result"],
            ["one/kather", "two/kather", "wdbc"],
        ),
        (["kather/result"], ["result"]),
        (["result", "b/result"], ["ROOT", "b"]),
    ],
)
def test_study_names_are_the_shortest_that_differ(tmp_path, paths, names):
    found = study_names([tmp_path / p for p in paths])
    assert found == [name.replace("ROOT", tmp_path.name) for name in names]


def test_a_folder_given_twice(tmp_path):
    with pytest.raises(InputError, match="is given twice"):
        study_names([tmp_path / "a", tmp_path / "b/../a"])


@pytest.mark.parametrize("name", ["comparisons.csv", "manifest.json"])
def test_incomplete_folders(tmp_path, name):
    (make(tmp_path / "a") / name).unlink()
    with pytest.raises(InputError, match=f"has a metrics.csv but no {name}"):
        read([tmp_path / "a"], "here")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ({"manifest": "{"}, "manifest.json is not JSON"),
        ({"manifest": '{"endpoint": {}}'}, "manifest.json names no experts"),
        (
            {"metrics": METRICS.replace("0.3,0.2", "low,0.2")},
            "'value', method 'fused', metric 'nll': 'low' is not a",
        ),
        (
            {"metrics": METRICS.replace("fused,all,nll", "uni,all,nll")},
            "study 'a' has the method 'uni' twice",
        ),
        ({"metrics": METRICS.replace("ci_low", "low")}, "has no column 'ci_low'"),
        (
            {"metrics": METRICS.replace(",all,", ",pr,")},
            "column 'output': neither 'all' nor one output only, but er, pr",
        ),
        ({"comparisons": COMPARISONS.replace("reference", "against")}, "has no column 'reference'"),
    ],
)
def test_damage_is_named(tmp_path, damage, complaint):
    with pytest.raises(InputError) as error:
        read([make(tmp_path / "a", **damage)], "here")
    assert complaint in str(error.value)
    assert str(tmp_path / "a") in str(error.value)
