import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import column_names, number_column, read_table, text_column


def csv(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_cells_of_a_csv_stay_as_they_stand(tmp_path):
    table = read_table(csv(tmp_path, "sample_id,n\n007,1.50\n1e3,\nTrue,NA\n"))
    assert text_column(table, "sample_id") == ["007", "1e3", "True"]
    assert text_column(table, "n") == ["1.50", None, None]


def test_quotes_commas_blanks_and_umlauts(tmp_path):
    table = read_table(csv(tmp_path, 'sample_id,"a, b","say ""x"""\n"s,1", ü ,2\n'))
    assert table.frame.columns == ["sample_id", "a, b", 'say "x"']
    assert table.frame.row(0) == ("s,1", "ü", "2")
    assert read_table(csv(tmp_path, 'sample_id,"a\nb"\n"x\ny",1\n')).frame.to_dicts() == [
        {"sample_id": "x\ny", "a\nb": "1"}
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "{}", "{}{}"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_endings_byte_order_mark_and_blank_lines_at_the_end(tmp_path, ending, end, mark):
    text = mark + ending.join(["sample_id,n", "a,1", "b,2"]) + end.format(ending, ending)
    frame = read_table(csv(tmp_path, text)).frame
    assert frame.to_dict(as_series=False) == {"sample_id": ["a", "b"], "n": ["1", "2"]}


def test_an_empty_last_cell_is_no_cut(tmp_path):
    assert read_table(csv(tmp_path, "sample_id,n,m\na,1,2\nb,,")).frame.row(1) == ("b", None, None)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n", "has no header line"),
        (b"sample_id,n\n", "has no row"),
        (b"sample_id,n", "has no row"),
        (b"sample_id,,\n", "has no row"),
        (b"sample_id,n,n\na,1,2\n", "has two columns named 'n'"),
        (
            b"sample_id,n\na,1\nb",
            "is cut off: its last line 'b' has fewer values than the header has columns",
        ),
        (b'sample_id,n\na,"1', "is cut off inside a quoted value"),
        (b"sample_id,n\na,1,2,3\n", "is not a regular CSV table: "),
        (b"sample_id" * 20_000 + b"\na\n", "is not a regular CSV table: "),
        (
            b"Table 1,,\nsample_id,n,m\na,1,2\n",
            "has 2 columns without a name; if a title stands above",
        ),
        (b"#one\n#two\n", "has no header line"),
    ],
)
def test_a_broken_csv_in_one_sentence(tmp_path, content, what):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def notes(path):
    """The notes on a file, without its name."""
    given = read_table(path).notes
    assert all(note.startswith(f"{path}: ") for note in given)
    return [note.removeprefix(f"{path}: ") for note in given]


def test_separators_are_found_in_the_header(tmp_path):
    rows = [["sample_id", "x, y"], ["a", "1"], ["b", "2"]]
    for mark, name, note in [
        (";", "t.csv", ["read as separated by semicolons"]),
        ("\t", "t.csv", ["read as separated by tabs"]),
        ("\t", "t.tsv", []),
        ("\t", "t.txt", []),
        (";", "t.txt", ["read as separated by semicolons"]),
    ]:
        path = csv(tmp_path, "\n".join(mark.join(row) for row in rows), name)
        assert read_table(path).frame.rows() == [("a", "1"), ("b", "2")]
        assert read_table(path).frame.columns == column_names(path) == rows[0]
        assert notes(path) == note
    assert notes(csv(tmp_path, "sample_id,x\na,1\n", "t.tsv")) == ["read as separated by commas"]
    assert notes(csv(tmp_path, "sample_id,x\na,1\n", "t.txt")) == []


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('sample_id,"a;b"\nx,1\n', ["sample_id", "a;b"]),
        ("sample_id,a;b\nx,1\n", ["sample_id", "a;b"]),
        ("sample_id;a,b,c\nx;1\n", ["sample_id", "a,b,c"]),
        ('sample_id\n"a;b"\n', ["sample_id"]),
        ("sep=;\nsample_id;n\na;1\n", ["sample_id", "n"]),
        ("\n\nsample_id,n\na,1\n", ["sample_id", "n"]),
        ("sample_id,n\ra,1\r", ["sample_id", "n"]),
    ],
)
def test_what_separates_and_what_does_not(tmp_path, text, columns):
    path = csv(tmp_path, text)
    assert read_table(path).frame.columns == columns == column_names(path)
    assert read_table(path).frame.height == 1


def test_decimal_commas_of_numbers_alone(tmp_path):
    text = (
        "slide_id;prob;whole;point;text;none;thousand\n"
        "1,5;0,25;1;0.5;1,5a;;1,234\n"
        "2,5;1E-05;2;0,5;1,5;NA;2,345\n"
        "3,5;NA;3;1;2,5;-;3,456\n"
    )
    path = csv(tmp_path, text)
    assert read_table(path).frame.to_dict(as_series=False) == {
        "slide_id": ["1,5", "2,5", "3,5"],
        "prob": ["0.25", "1E-05", None],
        "whole": ["1", "2", "3"],
        "point": ["0.5", "0,5", "1"],
        "text": ["1,5a", "1,5", "2,5"],
        "none": [None] * 3,
        "thousand": ["1.234", "2.345", "3.456"],
    }
    assert notes(path) == [
        "read as separated by semicolons, with decimal commas in 'prob', 'thousand'"
    ]
    tabs = csv(tmp_path, text.replace(";", "\t"), "tabs.txt")
    assert read_table(tabs).frame["thousand"].to_list() == ["1,234", "2,345", "3,456"]
    assert notes(tabs) == ["read with decimal commas in 'prob'"]


def test_commas_that_could_be_of_thousands_beside_whole_numbers_are_refused(tmp_path):
    path = csv(tmp_path, "sample_id;days;prob\na;327;1,466\nb;1,466;0\nc;892;0,5\n")
    table = read_table(path)
    assert table.frame["days"].to_list() == ["327", "1,466", "892"]
    assert table.frame["prob"].to_list() == ["1.466", "0", "0.5"]
    with pytest.raises(InputError, match=r"'days', sample 'b': '1,466' could be 1466 or 1.466 \("):
        number_column(table, "days", ["a", "b", "c"])


def test_many_columns_with_decimal_commas_are_counted(tmp_path):
    path = csv(tmp_path, "id;a;b;c;d;e\nx;0,1;0,2;-0,3;1,0e-3;+5,0\n")
    assert read_table(path).frame.row(0) == ("x", "0.1", "0.2", "-0.3", "1.0e-3", "+5.0")
    assert notes(path)[0].endswith("with decimal commas in 'a', 'b', 'c' and 2 more")


CBIOPORTAL = (
    "#Patient Identifier\tStatus\n#Identifier\tStatus\n#STRING\tSTRING\n#1\t1\n"
    "PATIENT_ID\tOS_STATUS\nTCGA-1\t1:DECEASED\n\t\nTCGA-2\t\n"
)


def test_comment_lines_and_empty_rows_of_cbioportal(tmp_path):
    path = csv(tmp_path, CBIOPORTAL, "data_clinical_patient.txt")
    assert read_table(path).frame.rows() == [("TCGA-1", "1:DECEASED"), ("TCGA-2", None)]
    assert column_names(path) == ["PATIENT_ID", "OS_STATUS"]
    assert notes(path) == ["4 comment lines above the table left out", "1 empty row was left out"]


@pytest.mark.parametrize(
    ("head", "columns", "comments"),
    [
        ("#sample_id,n", ["sample_id", "n"], 0),
        ("#,sample_id", ["#", "sample_id"], 0),
        ("# made by hand\n# sample_id,n", ["sample_id", "n"], 1),
        ("# of the patient, id\nsample_id,n", ["sample_id", "n"], 1),
    ],
)
def test_a_header_that_looks_like_a_comment(tmp_path, head, columns, comments):
    path = csv(tmp_path, f"{head}\na,1\nb,2\n")
    assert read_table(path).frame.columns == columns == column_names(path)
    assert read_table(path).frame.height == 2
    assert notes(path) == [f"{comments} comment line above the table left out"] * comments


def test_the_number_sign_below_the_header_is_a_cell(tmp_path):
    assert read_table(csv(tmp_path, "sample_id,n\n#1,1\n#2,2\n")).frame.height == 2


def test_columns_and_rows_without_anything_are_left_out(tmp_path):
    path = csv(tmp_path, ",sample_id,n,,\n0,a,1,,\n, ,,,\n2,b,2,,\n")
    table = read_table(path)
    assert table.frame.columns == ["", "sample_id", "n"]
    assert table.frame["sample_id"].to_list() == ["a", "b"]
    assert notes(path) == ["2 empty columns were left out", "1 empty row was left out"]


def test_a_plain_file_has_no_note(tmp_path):
    assert notes(csv(tmp_path, "\ufeffsample_id,n\r\na,1\r\n\r\n")) == []
