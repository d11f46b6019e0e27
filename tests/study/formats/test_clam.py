import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.reading import Reading
from pathfuse.study.study import read_study

LABELS = {"s0": "a", "s1": "b", "s2": "b", "s3": "a", "s4": "b", "s5": "a"}
P = [0.2, 0.9, 0.8, 0.3, 0.6, 0.1]
"""Of class b."""
IDS = list(LABELS)


@pytest.fixture
def expert(tmp_path):
    place = tmp_path / "EVAL_uni"
    place.mkdir()
    for k in range(3):
        rows = [k, 5 - k]
        pl.DataFrame(
            {
                "slide_id": [IDS[i] for i in rows],
                "Y": [float(LABELS[IDS[i]] == "a") for i in rows],
                "Y_hat": [0.0, 0.0],
                "p_0": [P[i] for i in rows],
                "p_1": [1 - P[i] for i in rows],
            }
        ).write_csv(place / f"fold_{k}.csv")
    (place / "summary.csv").write_text("folds,test_auc\n0,0.5\n")
    return place


def test_the_folds_of_an_expert_are_one_table_and_the_order_of_classes_is_found(
    expert, samples, of_b
):
    study = read_study(samples, expert)
    assert study.expert_names == ("uni",)
    assert of_b(study, "uni") == P
    assert study.with_own_folds().samples.folds.tolist() == [0, 1, 2, 2, 1, 0]
    assert any("p_0 = b, p_1 = a (found from the column 'Y'" in line for line in study.understood)
    assert study.experts[0].class_order == ("b", "a")


def test_classes_that_are_given_must_agree_with_the_truth(expert, samples, of_b):
    assert of_b(read_study(samples, expert, reading=Reading(classes="b, a")), "uni") == P
    with pytest.raises(InputError, match="class 1 is 'b' by --classes a,b, but the sample 's0'"):
        read_study(samples, expert, reading=Reading(classes="a,b"))
    with pytest.raises(InputError, match="--classes names 3"):
        read_study(samples, expert, reading=Reading(classes="a,b,c"))


def test_labels_that_are_not_those_of_the_expert_are_refused(expert, samples):
    mixed = samples.with_columns(label=pl.Series(["a", "a", "b", "b", "a", "b"]))
    with pytest.raises(
        InputError, match=r"class [01] is '[ab]' of sample '.*' and '[ab]' of sample"
    ):
        read_study(mixed, expert)


def test_without_a_truth_the_order_is_asked_for(expert, samples, of_b):
    whole = pl.concat([pl.read_csv(f) for f in sorted(expert.glob("fold_*.csv"))])
    bare = whole.select("slide_id", "Y_hat", "p_0", "p_1")
    with pytest.raises(InputError, match=r"--classes A,B,... \(the labels are a, b\)"):
        read_study(samples, {"uni": bare})
    study = read_study(samples, {"uni": bare}, reading=Reading(classes="b,a"))
    assert of_b(study, "uni") == P


def test_slides_of_all_folds_in_every_file_are_refused(expert, samples):
    pl.read_csv(expert / "fold_0.csv").write_csv(expert / "fold_1.csv")
    with pytest.raises(InputError, match="test rows of their fold alone"):
        read_study(samples, expert)


def test_pickles_are_refused_with_a_way_out(tmp_path, samples):
    (tmp_path / "split_0_results.pkl").write_bytes(b"\x80\x04.")
    for place in (tmp_path, tmp_path / "split_0_results.pkl"):
        with pytest.raises(InputError, match=r"a pickle can run code.*EVAL_<name>"):
            read_study(samples, place)
