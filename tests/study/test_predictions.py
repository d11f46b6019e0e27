import openpyxl
import polars as pl
import pytest

from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError
from pathfuse.files.tables import Table, table_in_memory
from pathfuse.study.predictions import PredictionTable, gather, read_expert, read_label_map
from pathfuse.study.reading import Reading

UNI = pl.DataFrame({"sample_id": ["a", "b"], "prob_x": [0.5, 0.25], "prob_y": [0.5, 0.75]})
TITAN = pl.DataFrame({"sample_id": ["b"], "prob_x": [1.0], "prob_y": [0.0]})
XY = Multiclass(("x", "y"))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "predictions"
    place.mkdir()
    UNI.write_csv(place / "uni.csv")
    TITAN.write_parquet(place / "titan.parquet")
    (place / "notes.txt").write_text("no table")
    (place / ".hidden.csv").write_text("no table")
    return place


def names(found):
    return [expert.name for expert in found]


def long(*named):
    return pl.concat(
        [frame.with_columns(expert=pl.lit(name)) for name, frame in named], how="diagonal"
    )


def test_a_folder_holds_an_expert_per_table_and_nothing_else(folder):
    found = gather(folder)
    assert names(found) == ["titan", "uni"]
    assert found[1].table.source == str(folder / "uni.csv")
    assert found[0].table.frame.equals(TITAN)


def test_files_folders_and_their_order_do_not_matter(folder):
    one = gather([folder / "uni.csv", folder / "titan.parquet"])
    other = gather([str(folder / "titan.parquet"), folder / "uni.csv"])
    assert names(one) == names(other) == names(gather([folder])) == ["titan", "uni"]


def test_the_stem_is_the_name_dots_and_all(tmp_path):
    UNI.write_csv(tmp_path / "uni.v2.csv")
    assert names(gather(tmp_path / "uni.v2.csv")) == ["uni.v2"]


def test_a_long_table(tmp_path):
    long(("uni", UNI), ("titan", TITAN)).write_csv(tmp_path / "all.csv")
    found = gather(tmp_path / "all.csv")
    assert names(found) == ["titan", "uni"]
    assert [e.table.frame["sample_id"].to_list() for e in found] == [["b"], ["a", "b"]]
    assert all("expert" not in e.table.frame.columns for e in found)
    assert {e.table.sha256 for e in found} == {found[0].table.sha256}


def test_in_a_long_table_an_expert_has_the_columns_that_it_fills(tmp_path):
    coarse = pl.DataFrame({"sample_id": ["a"], "logit_z": [1.0], "logit_w": [0.0]})
    long(("uni", UNI), ("coarse", coarse)).write_csv(tmp_path / "all.csv")
    found = gather(tmp_path / "all.csv")
    assert [set(e.table.frame.columns) for e in found] == [
        {"sample_id", "logit_z", "logit_w"},
        {"sample_id", "prob_x", "prob_y"},
    ]


def test_a_long_table_with_a_row_of_nobody(tmp_path):
    long(("uni", UNI), (None, TITAN)).write_csv(tmp_path / "all.csv")
    with pytest.raises(InputError, match=r"all.csv, column 'expert': row 3 is empty"):
        gather(tmp_path / "all.csv")


def test_a_mapping_of_frames_and_paths(folder):
    found = gather({"mine": UNI.to_pandas(), "yours": folder / "titan.parquet", "theirs": UNI})
    assert names(found) == ["mine", "theirs", "yours"]
    assert found[0].table.frame.equals(found[1].table.frame)


def test_a_long_frame_in_memory():
    assert names(gather(long(("uni", UNI), ("titan", TITAN)))) == ["titan", "uni"]


def test_two_experts_of_one_name_are_both_named(folder):
    UNI.write_parquet(folder / "uni.parquet")
    with pytest.raises(InputError) as caught:
        gather(folder)
    assert str(caught.value) == (
        f"two experts have the name 'uni': {folder / 'uni.csv'} and {folder / 'uni.parquet'}"
    )


def test_one_file_given_twice(folder):
    with pytest.raises(InputError, match=r"uni.csv were given twice"):
        gather([folder, folder / "uni.csv"])


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="none does not exist"):
        gather(tmp_path / "none")
    with pytest.raises(InputError, match=r"the folder .* holds no table"):
        gather(tmp_path)


def test_a_name_too_long_for_the_disk_is_no_traceback(tmp_path):
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        gather(tmp_path / ("x" * 300))


def test_an_expert_is_read_in_the_terms_of_the_endpoint():
    frame = UNI.with_columns(note=pl.lit("fine"), n_tiles=pl.lit(3))
    expert = read_expert(PredictionTable("uni", Table("somewhere/uni.csv", frame)), XY, None)
    assert (expert.name, expert.source, expert.ids) == ("uni", "somewhere/uni.csv", ["a", "b"])
    assert expert.outputs["all"].log_prob.shape == (2, 2)
    assert expert.outputs["all"].ignored == ("note", "n_tiles")


@pytest.mark.parametrize("name", ["uni", "titan"])
def test_a_complaint_about_a_long_table_says_which_expert(name):
    table = Table("all.csv", UNI.with_columns(prob_x=pl.lit("half")))
    with pytest.raises(
        InputError, match=f"all.csv .expert '{name}'., column 'prob_x', sample 'a': 'half'"
    ):
        read_expert(PredictionTable(name, table), XY, None)


def test_a_sample_twice_is_an_error_and_not_an_average():
    with pytest.raises(InputError, match=r"uni.csv, column 'sample_id': 'b' occurs twice"):
        read_expert(PredictionTable("uni", Table("uni.csv", pl.concat([UNI, TITAN]))), XY, None)


def test_a_label_map_from_a_file_a_frame_or_a_mapping(tmp_path):
    frame = pl.DataFrame({"label": ["x", "y"], "expert_label": ["1", "1"]})
    frame.write_csv(tmp_path / "map.csv")
    for source in (
        tmp_path / "map.csv",
        str(tmp_path / "map.csv"),
        frame,
        frame.to_pandas(),
        {"x": 1, "y": 1},
    ):
        assert read_label_map("uni", source) == {"x": "1", "y": "1"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("label,other\nx,1\n", "has no column 'expert_label'; its columns are label, other"),
        ("label,expert_label\nx,1\ny,\n", "row 2 is not complete"),
        ("label,expert_label\nx,1\nx,2\n", "column 'label': 'x' occurs twice"),
    ],
)
def test_a_broken_label_map(tmp_path, text, what):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(InputError, match=f"map.csv.*{what}"):
        read_label_map("uni", tmp_path / "map.csv")


@pytest.mark.parametrize(
    "column", [["true", "FALSE", None], [True, False, None], [1, 0, None], ["1", "0", ""]]
)
def test_rows_that_a_model_was_fitted_on(column):
    frame = pl.DataFrame({"sample_id": ["a", "b", "c"], "prob_x": [0.5] * 3, "prob_y": [0.5] * 3})
    table = table_in_memory("p", frame.with_columns(pl.Series("seen_in_fit", column)))
    read = read_expert(PredictionTable("p", table), Multiclass(("x", "y")), None)
    assert read.seen == {"a"}
    assert read.outputs["all"].ignored == ()


def test_what_is_neither_true_nor_false():
    frame = pl.DataFrame(
        {"sample_id": ["a"], "prob_x": [0.5], "prob_y": [0.5], "seen_in_fit": ["maybe"]}
    )
    with pytest.raises(
        InputError, match="column 'seen_in_fit', sample 'a': 'maybe' is neither true nor false"
    ):
        read_expert(PredictionTable("p", table_in_memory("p", frame)), Multiclass(("x", "y")), None)


def test_two_sheets_of_one_workbook_are_two_experts(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "uni"
    book.create_sheet("conch")
    for sheet in book:
        for row in (("Slide", "prob_a", "prob_b"), ("s1", 0.3, 0.7)):
            sheet.append(row)
    book.save(tmp_path / "experts.xlsx")
    places = [f"{tmp_path}/experts.xlsx#{name}" for name in ("uni", "conch")]
    assert names(gather(places)) == ["conch", "uni"]
    assert names(gather(places[0])) == ["experts"]


def test_a_column_that_is_named_counts_for_the_tables_that_have_it(tmp_path):
    frame = pl.DataFrame({"Fallnummer": ["s1"], "sample_id": ["x"], "prob_a": [0.3]})
    reading = Reading(columns={"sample": "Fallnummer"})
    found = gather({"one": frame, "two": frame.drop("Fallnummer")}, reading)
    assert [one.table.frame["sample_id"].to_list() for one in found] == [["s1"], ["x"]]
