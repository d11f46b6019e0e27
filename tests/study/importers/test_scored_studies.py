"""Which reader reads what ``pathfuse rank`` is given."""

import json

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.importers.scored_studies import read_cohorts, read_scores

LONG = "study,method,metric,value\na,uni,auroc,0.9\n"


def make_result(folder):
    folder.mkdir(parents=True)
    row = "method,output,metric,value,ci_low,ci_high,n,n_patients\nuni,all,nll,0.5,0.4,0.6,9,9\n"
    (folder / "metrics.csv").write_text(row)
    (folder / "comparisons.csv").write_text(
        "method,reference,output,metric,difference,ci_low,ci_high,p_value,test\nfused,uni,all,nll,0,0,0,1,b\n"
    )
    (folder / "manifest.json").write_text(json.dumps({"experts": {}}))
    return folder


def test_result_folders_of_all_sources_make_one_board(tmp_path):
    make_result(tmp_path / "runs/a")
    make_result(tmp_path / "runs/b")
    (tmp_path / "more.csv").write_text(LONG)
    boards = read_scores([tmp_path / "more.csv", tmp_path / "runs", make_result(tmp_path / "c")])
    assert [board.format for board in boards] == ["result_folders", "long_table"]
    assert boards[0].scores["study"].to_list() == ["a", "b", "c"]
    assert boards[0].source == f"{tmp_path / 'runs'}, {tmp_path / 'c'}"


def test_a_folder_of_tables_is_searched_for_those_with_studies(tmp_path):
    (tmp_path / "one.csv").write_text(LONG)
    pl.DataFrame(
        {"study": ["b"], "method": ["uni"], "metric": ["auroc"], "value": [0.5]}
    ).write_parquet(tmp_path / "two.parquet")
    (tmp_path / "summary.csv").write_text("table,key\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.parquet").write_text("no")
    assert [board.scores["study"].to_list() for board in read_scores([tmp_path])] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("nothing", "nothing does not exist"),
        ("hollow", "hollow holds no study"),
        ("other.csv", "other.csv is not recognised by its columns (x, y)"),
        ("notes.txt", "notes.txt is not recognised by its columns (x)"),
        ("notes.md", "notes.md is not a table: .csv"),
        ("run/metrics.csv", "is the metrics.csv of one study; give its folder"),
    ],
)
def test_what_is_not_understood(tmp_path, source, complaint):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow/other.csv").write_text("x,y\n1,2\n")
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    (tmp_path / "notes.txt").write_text("x\n1\n")
    (tmp_path / "notes.md").write_text("x")
    make_result(tmp_path / "run")
    with pytest.raises(InputError) as error:
        read_scores([tmp_path / source])
    assert complaint in str(error.value)


def test_a_source_given_twice(tmp_path):
    (tmp_path / "one.csv").write_text(LONG)
    with pytest.raises(InputError, match="is given twice"):
        read_scores([tmp_path / "one.csv", tmp_path / "." / "one.csv"])


def test_a_folder_and_its_parent(tmp_path):
    make_result(tmp_path / "runs/a")
    make_result(tmp_path / "runs/b")
    with pytest.raises(InputError, match="runs/a is given twice"):
        read_scores([tmp_path / "runs", tmp_path / "runs/a"])


def test_cohorts(tmp_path):
    (tmp_path / "cohorts.csv").write_text("study,cohort\n007,TCGA\nb,TCGA\n")
    assert read_cohorts(tmp_path / "cohorts.csv")[0] == {"007": "TCGA", "b": "TCGA"}
    (tmp_path / "twice.csv").write_text("study,cohort\na,X\na,Y\n")
    with pytest.raises(InputError, match="column 'study': 'a' occurs twice"):
        read_cohorts(tmp_path / "twice.csv")
    (tmp_path / "short.csv").write_text("study\na\n")
    with pytest.raises(InputError, match="has no column 'cohort'"):
        read_cohorts(tmp_path / "short.csv")
