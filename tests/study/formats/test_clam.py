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


def test_a_model_remembers_the_order_of_numbered_classes(tmp_path):
    import pathfuse

    ids, labels = [f"s{n:02d}" for n in range(24)], ["b", "a", "a"] * 8
    first = [0.2 + 0.02 * n if label == "a" else 0.9 - 0.02 * n for n, label in enumerate(labels)]
    experts = {
        name: pl.DataFrame(
            {
                "slide_id": ids,
                "Y": [int(label == "a") for label in labels],
                "Y_hat": [0] * 24,
                "p_0": [p**power for p in first],
                "p_1": [1 - p**power for p in first],
            }
        )
        for name, power in (("uni", 1), ("conch", 2))
    }
    roles = ["fit"] * 16 + ["test"] * 8
    samples = pl.DataFrame({"sample_id": ids, "label": labels, "split": roles})
    result = pathfuse.fuse(read_study(samples, experts), method="static_product", n_resamples=0)
    result.model.save(tmp_path)
    new = {name: frame.select("slide_id", "p_0", "p_1", "Y_hat") for name, frame in experts.items()}
    again = pathfuse.load(tmp_path).predict(new).drop("seen_in_fit")
    assert again.tail(8).equals(result.fused)


def test_folds_serve_a_fusion(expert, samples):
    import pathfuse

    study = read_study(samples, expert)
    assert study.samples.folds is None  # an evaluation judges all rows together
    result = pathfuse.fuse(study, method="static_product", n_resamples=0)
    assert result.fused.height == 6
    assert len(result.manifest["best_experts"]) == 3
    assert any(
        "the folds are those of the files of 'uni'" in s for s in result.manifest["understood"]
    )


def write_splits(place):
    place.mkdir()
    for k in range(3):
        test = [IDS[k], IDS[5 - k]]
        val = [IDS[(k + 1) % 3], IDS[5 - (k + 1) % 3]]
        train = [i for i in IDS if i not in test + val]
        pl.DataFrame({"": [0, 1], "train": train, "val": val, "test": test}).write_csv(
            place / f"splits_{k}.csv"
        )
    return place


def test_splits_give_folds_and_one_of_them_gives_roles(tmp_path, expert, samples):
    place = write_splits(tmp_path / "splits")
    study = read_study(samples, expert, reading=Reading(splits=str(place)))
    assert study.samples.folds.tolist() == [0, 1, 2, 2, 1, 0]
    assert str(place / "splits_1.csv") in study.inputs
    one = read_study(samples, expert, reading=Reading(splits=str(place / "splits_0.csv")))
    assert one.samples.roles.tolist() == ["test", "fit", "train", "train", "fit", "test"]


def test_splits_in_which_a_slide_has_no_one_place_are_refused(tmp_path, expert, samples):
    place = write_splits(tmp_path / "splits")
    (place / "splits_2.csv").unlink()
    with pytest.raises(InputError, match="'s2' is a test sample in 0 of 2 splits"):
        read_study(samples, expert, reading=Reading(splits=str(place)))
    with pytest.raises(InputError, match="leave out --splits"):
        read_study(
            samples.with_columns(fold=pl.Series(range(6))),
            expert,
            reading=Reading(splits=str(place)),
        )
    with pytest.raises(InputError, match=r"holds no splits_<k>\.csv"):
        read_study(samples, expert, reading=Reading(splits=str(expert)))


def splits_of(place, names):
    """A folder of two splits, in which every name is a test sample once."""
    place.mkdir(parents=True)
    for k in range(2):
        parts = {"train": names[1 - k :: 2], "test": names[k::2]}
        pl.DataFrame(parts).write_csv(place / f"splits_{k}.csv")
    return str(place)


@pytest.mark.parametrize(
    ("theirs", "sentence"),
    [
        (
            "{n}.0",
            "'4826' is a test sample in 0 of 2 splits.* it is '4826.0' there that stands for '4826'",
        ),
        ("0{n}", "it is '04826' there that stands for '4826'.*leading zeros"),
        (
            "P{n}",
            "the splits name patients, such as 'P4826', that of '4826': write the splits of slides",
        ),
        ("D{n}", "not in one; they name samples such as 'D4826'"),
    ],
)
def test_splits_that_name_samples_otherwise_show_both_spellings(tmp_path, theirs, sentence):
    names = [f"{4826 + n}" for n in range(6)]
    samples = pl.DataFrame(
        {"slide_id": names, "case_id": [f"P{n}" for n in names], "label": list("ababab")}
    )
    expert = pl.DataFrame({"slide_id": names, "prob_a": [0.5] * 6, "prob_b": [0.5] * 6})
    place = splits_of(tmp_path / "splits", [theirs.format(n=n) for n in names])
    for one in (place, f"{place}/splits_0.csv"):
        shown = sentence if one == place else sentence.split(".* ")[-1].split("; ")[-1]
        with pytest.raises(InputError, match=shown):
            read_study(samples, {"uni": expert}, reading=Reading(splits=one))


def test_a_pattern_shortens_the_names_of_splits_alike(tmp_path):
    names = [f"TCGA-A1-{1000 + n}-01Z-00-DX1" for n in range(6)]
    samples = pl.DataFrame({"slide_id": names, "label": list("ababab")})
    expert = pl.DataFrame({"slide_id": names, "prob_a": [0.5] * 6, "prob_b": [0.5] * 6})
    place = splits_of(tmp_path / "splits", [f"{name}.UUID" for name in names])
    with pytest.raises(InputError, match="6 of 6 would match with --id-pattern tcga-slide"):
        read_study(samples, {"uni": expert}, reading=Reading(splits=place))
    study = read_study(
        samples, {"uni": expert}, reading=Reading(splits=place, id_pattern="tcga-slide")
    )
    assert study.samples.folds.tolist() == [0, 1] * 3
