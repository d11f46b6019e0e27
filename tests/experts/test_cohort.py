"""Samples and their slides: what belongs together, what is left out, and what is refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.experts.cohort import join, read_people
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.slide_table import read_slides
from pathfuse.features.folder import open_folder
from pathfuse.study.reading import Reading

h5py = pytest.importorskip("h5py")
TINY = TrainingRecipe.of("abmil")


def bag(path, shape=(3, 4), bad=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.ones(shape, dtype=np.float32)
    if bad:
        values[1, 2] = np.nan
    with h5py.File(path, "w") as file:
        file["features"] = values


@pytest.fixture
def place(tmp_path):
    """p1 has two slides, p2 one, p3 a slide with NaN and an empty one, p4 a slide without file, p5
    no slide."""
    for name in ("a1", "a2", "b1", "stranger"):
        bag(tmp_path / "features" / f"{name}.h5")
    bag(tmp_path / "features" / "c1.h5", bad=True)
    bag(tmp_path / "features" / "c2.h5", (0, 4))
    pl.DataFrame({"sample_id": ["p1", "p2", "p3", "p4", "p5"], "label": list("xyxyx")}).write_csv(
        tmp_path / "samples.csv"
    )
    pairs = [
        ("p1", "a2"),
        ("p1", "a1"),
        ("p1", "a1"),
        ("p2", "b1"),
        ("p3", "c1"),
        ("p3", "c2"),
        ("p4", "d1"),
    ]
    pl.DataFrame(pairs, schema=["sample_id", "slide_id"], orient="row").write_csv(
        tmp_path / "slides.csv"
    )
    return tmp_path


def read(place, slides="slides.csv"):
    return read_people(place / "samples.csv", place / slides if slides else None, None, None)


def test_what_fits_and_what_is_left_out(place):
    cohort = join(read(place), open_folder(place / "features"), TINY)
    assert [(u.sample, u.slides) for u in cohort.units] == [(0, ("a1", "a2")), (1, ("b1",))]
    assert cohort.having.tolist() == [True, True, False, False, False]
    left = {one["reason"]: (one["n"], one["first"]) for one in cohort.left_out}
    assert left.pop("slide without a feature file") == (1, ["d1"])
    assert left.pop("sample without any usable slide") == (3, ["p3", "p4", "p5"])
    assert left.pop("feature file of no sample") == (1, ["stranger"])
    assert sorted(names for _, names in left.values()) == [["c1"], ["c2"]]
    assert any("NaN" in reason for reason in left)
    assert any("empty" in reason for reason in left)


def test_several_slides_one_by_one(place):
    cohort = join(read(place), open_folder(place / "features"), replace_recipe(several="mean"))
    assert [(u.sample, u.slides) for u in cohort.units] == [
        (0, ("a1",)),
        (0, ("a2",)),
        (1, ("b1",)),
    ]
    assert [u.slides for u in cohort.units_of(np.array([1]))] == [("b1",)]


def replace_recipe(**chosen):
    return TrainingRecipe.of("abmil", **chosen)


def test_strict_refuses(place):
    folder = open_folder(place / "features")
    with pytest.raises(
        InputError, match=r"features: feature file could not be used: .*c[12] \(1 in all\)"
    ):
        join(read(place), folder, TINY, strict=True)
    with pytest.raises(InputError, match=r"c1.h5: .*NaN"):
        open_folder(place / "features", strict=True)
    with pytest.raises(InputError, match=r"slide without a feature file: c1, c2, d1 \(3 in all\)"):
        join(read(place), replace(folder, broken=()), TINY, strict=True)


def test_slides_named_like_samples(place):
    pl.DataFrame({"sample_id": ["a1", "b1"], "label": ["x", "y"]}).write_csv(place / "samples.csv")
    cohort = join(read(place, None), open_folder(place / "features"), TINY)
    assert [u.slides for u in cohort.units] == [("a1",), ("b1",)]
    pl.DataFrame({"sample_id": ["q1", "q2"], "label": ["x", "y"]}).write_csv(place / "samples.csv")
    with pytest.raises(
        InputError, match=r"no slide of .* has features.*'q1' is wanted, 'a1' is there.*--slides"
    ):
        join(read(place, None), open_folder(place / "features"), TINY)


def test_the_slide_table_of_stamp(place):
    pl.DataFrame({"PATIENT": ["p1", "p2"], "FILENAME": ["a1.h5", "sub/b1.h5"]}).write_csv(
        place / "stamp.csv"
    )
    assert read(place, "stamp.csv").slides == {"p1": ("a1",), "p2": ("b1",)}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("sample,slide\np1,a1", "has no columns 'sample_id' and 'slide_id'; it has sample, slide"),
        (
            "sample_id,slide_id\np1,a1\np2,a1",
            "column 'slide_id': 'a1' belongs to both 'p1' and 'p2'",
        ),
        ("sample_id,slide_id\np1,", "a row lacks its 'slide_id'"),
        ("sample_id,slide_id\nz1,a1", "none of its 1 samples is in .*samples.csv"),
    ],
)
def test_bad_slide_tables(place, rows, words):
    (place / "slides.csv").write_text(rows + "\n")
    with pytest.raises(InputError, match=words):
        read(place)


def test_edges_are_for_survival(place):
    with pytest.raises(InputError, match=r"--time-edges is for survival, but .* 'multiclass'"):
        read_people(place / "samples.csv", None, None, (0.0, 1.0))


def test_a_patient_in_two_folds(place):
    table = pl.DataFrame(
        {"sample_id": ["a", "b"], "patient_id": ["p", "p"], "fold": [0, 1], "label": ["x", "y"]}
    )
    table.write_csv(place / "samples.csv")
    with pytest.raises(InputError, match="column 'fold': patient 'p' is in both fold '0' and '1'"):
        read(place, None)


@pytest.mark.parametrize("head", ["abmil", "mean_pool", "clam", "trans_mil"])
def test_bag_heads_refuse_vectors(tmp_path, head):
    pl.DataFrame({"sample_id": ["a", "b"], "f0": [0.1, 0.2]}).write_csv(tmp_path / "vectors.csv")
    pl.DataFrame({"sample_id": ["a", "b"], "label": ["x", "y"]}).write_csv(tmp_path / "samples.csv")
    people, folder = read(tmp_path, None), open_folder(tmp_path / "vectors.csv")
    with pytest.raises(
        InputError,
        match=f"vectors.csv holds one vector per sample, and the head '{head}' pools bags",
    ):
        join(people, folder, TrainingRecipe.of(head))
    assert len(join(people, folder, TrainingRecipe.of("tile_mlp")).units) == 2


def test_tile_heads_refuse_bags(place):
    with pytest.raises(
        InputError, match="features holds bags of tiles, and the head 'tile_mlp' reads one vector"
    ):
        join(read(place), open_folder(place / "features"), TrainingRecipe.of("tile_mlp"))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda folder: bag(folder / "z.h5", (3, 5)), "4 dimensions, but .*z.h5 has 5"),
        (lambda folder: bag(folder / "z.h5", (4,)), "z.h5 one vector of the whole slide"),
    ],
)
def test_a_folder_of_two_encoders(place, write, words):
    write(place / "features")
    with pytest.raises(InputError, match=words):
        open_folder(place / "features")


def test_a_pickle_is_refused(place):
    torch = pytest.importorskip("torch")
    torch.save({"features": open_folder}, place / "features" / "p.pt")
    cohort = join(read(place), open_folder(place / "features"), TINY)
    assert any("pickle" in one["reason"] and one["first"] == ["p"] for one in cohort.left_out)


def test_a_slide_table_spells_samples_as_the_samples_do(tmp_path):
    (tmp_path / "samples.csv").write_text("sample_id,label\nP1,a\nP2,b\n")
    slides = tmp_path / "slides.csv"
    slides.write_text("sample_id,slide_id\np1,x\nP2,y\n")
    with pytest.raises(
        InputError, match=r"slides.csv: a sample is spelled otherwise in .*it is 'P1' there that"
    ):
        read_people(tmp_path / "samples.csv", slides, None, None)
    slides.write_text("sample_id,slide_id\nP1 ,x\nP2,y\n")
    people = read_people(tmp_path / "samples.csv", slides, None, None)
    assert people.slides == {"P1": ("x",), "P2": ("y",)}
    assert people.blanks == {f"{slides}, column 'sample_id'": 1}


def test_a_pattern_shortens_the_samples_of_the_slide_table_alike(tmp_path):
    case = "TCGA-A1-A0SB"
    slides = tmp_path / "slides.csv"
    slides.write_text(f"sample_id,slide_id\n{case}-01Z,{case}-01Z-00-DX1.svs\n")
    belongs, _ = read_slides(slides, Reading(id_pattern="tcga-case"))
    assert belongs == {case: (f"{case}-01Z-00-DX1",)}
