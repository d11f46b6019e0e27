"""How studies are found under a folder, and what is said of those that are not whole."""

import hashlib

import pytest

from pathfuse.errors import InputError
from pathfuse.workflows.suite.layout import find_layouts


@pytest.fixture
def places(tmp_path, make_study):
    """Two studies, one in Parquet with a label map; a hidden folder and a stray file."""
    make_study(tmp_path / "b", 12, 6)
    make_study(tmp_path / "a", 12, 6, suffix=".parquet")
    make_study(tmp_path / ".hidden", 12, 6)
    (tmp_path / "a/label_map_expert_0.csv").write_text("label,expert_label\ntumor,tumor\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("hello")
    return tmp_path


def test_studies_are_found_by_their_files(places):
    first, second = find_layouts(places)
    assert (first.name, second.name) == ("a", "b")
    assert list(first.label_maps) == ["expert_0"]
    assert [p.name for p in second.predictions] == ["expert_0.csv", "expert_1.csv", "expert_2.csv"]
    assert second.edges is None


def test_inputs_are_every_file_that_decides(places):
    first, second = find_layouts(places)
    assert set(first.inputs()) == {
        "samples.parquet", "label_map_expert_0.csv", *(f"predictions/expert_{m}.parquet" for m in range(3))
    }  # fmt: skip
    samples = (places / "b/samples.csv").read_bytes()
    assert second.inputs()["samples.csv"] == hashlib.sha256(samples).hexdigest()
    (places / "b/time_edges.txt").write_text("0,1,inf\n")
    assert "time_edges.txt" in find_layouts(places)[1].inputs()


def test_edges_and_maps_reach_the_study(places):
    (places / "b/time_edges.txt").write_text("0,one,inf")
    with pytest.raises(
        InputError, match=r"time_edges\.txt: the time edges '0,one,inf' are not a list"
    ):
        find_layouts(places)[1].read()
    (places / "b/time_edges.txt").write_text("0,1,inf")
    with pytest.raises(InputError, match="--time-edges is for survival"):
        find_layouts(places)[1].read()
    (places / "b/time_edges.txt").unlink()
    (places / "b/label_map_nobody.csv").write_text("label,expert_label\ntumor,tumor\n")
    with pytest.raises(InputError, match="'nobody', which is none of the experts"):
        find_layouts(places)[1].read()


def test_half_a_study_is_reported(tmp_path, make_study):
    samples, predictions = make_study(tmp_path / "s", 12, 6)
    (tmp_path / "s/samples.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"has samples\.csv and samples\.parquet; keep one"):
        find_layouts(tmp_path)[0].check()
    (tmp_path / "s/samples.parquet").unlink()
    samples.rename(tmp_path / "elsewhere.csv")
    with pytest.raises(InputError, match=r"has predictions/ but no samples\.csv"):
        find_layouts(tmp_path)[0].check()
    (tmp_path / "elsewhere.csv").rename(samples)
    for file in predictions.iterdir():
        file.unlink()
    with pytest.raises(InputError, match="predictions holds no"):
        find_layouts(tmp_path)[0].check()


def test_a_folder_without_studies(tmp_path):
    with pytest.raises(InputError, match="holds no study"):
        find_layouts(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        find_layouts(tmp_path / "nowhere")


def test_the_card_by_name_or_by_file(tmp_path, make_study):
    make_study(tmp_path / "bracs_3", 12, 6)
    make_study(tmp_path / "own", 12, 6)
    named, own = find_layouts(tmp_path)
    assert named.card().name == "bracs_3"
    assert own.card() is None
    file = tmp_path / "own/card.json"
    file.write_text('{"task": "pcam"}')
    assert own.card().name == "pcam"
    for text, sentence in [
        ('{"task": "bach"}', "'bach' is not a task of the suite"),
        ('["pcam"]', "must name a task"),
        ("{", "is not JSON"),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=sentence):
            own.card()
