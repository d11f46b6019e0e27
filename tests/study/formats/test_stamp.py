import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.formats.stamp import MEAN
from pathfuse.study.predictions import gather
from pathfuse.study.reading import Reading
from pathfuse.study.study import read_study

LABELS = {"s0": "a", "s1": "b", "s2": "b", "s3": "a", "s4": "b", "s5": "a"}
P = [0.2, 0.9, 0.8, 0.3, 0.6, 0.1]
"""Of class b."""
IDS = list(LABELS)


def classes(rows, target="MSI"):
    return pl.DataFrame(
        {
            "PATIENT": [IDS[i] for i in rows],
            target: [LABELS[IDS[i]] for i in rows],
            "pred": ["a" for _ in rows],
            f"{target}_a": [1 - P[i] for i in rows],
            f"{target}_b": [P[i] for i in rows],
            "loss": [0.3 for _ in rows],
        }
    )


@pytest.fixture
def expert(tmp_path):
    for k in range(3):
        place = tmp_path / "uni" / f"split-{k}"
        place.mkdir(parents=True)
        classes([5 - k, k]).write_csv(place / "patient-preds.csv")
    return tmp_path / "uni"


def test_the_splits_of_an_expert_are_one_table(expert, samples, of_b):
    study = read_study(samples, expert)
    assert study.expert_names == ("uni",)
    assert of_b(study, "uni") == P
    assert len(study.inputs) == 4
    assert str(expert) not in study.inputs
    assert study.with_own_folds().samples.folds.tolist() == [0, 1, 2, 2, 1, 0]
    assert any("fold by fold" in line for line in study.understood)


def test_the_target_of_the_predictions_names_the_labels_of_the_samples(expert, of_b):
    clini = pl.DataFrame({"PATIENT": IDS, "MSI": list(LABELS.values())})
    assert of_b(read_study(clini, expert), "uni") == P


def test_a_folder_of_experts_and_a_single_split_have_the_experts_names(expert, samples):
    assert read_study(samples, expert.parent).expert_names == ("uni",)
    assert [one.name for one in gather(expert / "split-0")] == ["uni"]
    assert [one.name for one in gather(expert / "split-0" / "patient-preds.csv")] == ["uni"]


def test_a_sample_in_two_splits_is_refused(expert, samples):
    classes([0, 1]).write_csv(expert / "split-1" / "patient-preds.csv")
    with pytest.raises(InputError, match=r"'s0' is in .*split-0.* and in .*split-1"):
        read_study(samples, expert)


def test_the_mean_of_an_ensemble_is_read_once(tmp_path, samples, of_b):
    place = tmp_path / "deploy"
    place.mkdir()
    for k in range(2):
        classes(range(6)).write_csv(place / f"patient-preds-{k}.csv")
    with pytest.raises(InputError, match="2 members of an ensemble"):
        read_study(samples, place)
    classes(range(6)).write_csv(place / MEAN)
    study = read_study(samples, place)
    assert study.expert_names == ("deploy",)
    assert of_b(study, "deploy") == P
    assert any("2 members are not read again" in line for line in study.understood)
    with pytest.raises(InputError, match="not both"):
        read_study(samples, [place / MEAN, place / "patient-preds-0.csv"])


def test_of_several_targets_one_is_chosen(tmp_path, of_b):
    one, other = classes(range(6)), classes(range(6), "KRAS")
    both = one.rename({"pred": "pred_MSI"}).hstack(
        other.select(pl.col("pred").alias("pred_KRAS"), "KRAS", "KRAS_a", "KRAS_b")
    )
    both.write_csv(tmp_path / "uni.csv")
    clini = pl.DataFrame({"PATIENT": IDS, "MSI": list(LABELS.values())})
    with pytest.raises(InputError, match=r"several targets \(KRAS, MSI\)"):
        read_study(clini.rename({"MSI": "label"}), tmp_path / "uni.csv")
    study = read_study(clini, tmp_path / "uni.csv", reading=Reading(columns={"label": "MSI"}))
    assert of_b(study, "uni") == P


def test_numbers(tmp_path):
    truth = [float(n) for n in range(6)]
    frame = pl.DataFrame(
        {"PATIENT": IDS, "age": truth, "pred": [n + 0.5 for n in truth], "loss": [0.5] * 6}
    )
    frame.write_csv(tmp_path / "uni.csv")
    study = read_study(pl.DataFrame({"PATIENT": IDS, "age": truth}), tmp_path / "uni.csv")
    assert study.endpoint.kind == "regression"
    assert study.experts[0].outputs["all"].mean[:, 0].tolist() == [n + 0.5 for n in truth]


def test_the_truth_of_the_tables_is_kept_and_another_one_is_an_alarm(expert, samples):
    import pathfuse

    study = read_study(samples, expert)
    (truth,) = study.experts[0].truth
    assert (truth.target, truth.column, truth.values) == ("label", "MSI", LABELS)
    assert "other truth" not in [alarm.check for alarm in pathfuse.check(study).alarms]
    other = samples.with_columns(label=pl.Series([LABELS["s1"], *list(LABELS.values())[1:]]))
    alarms = pathfuse.check(read_study(other, expert)).alarms
    (sentence,) = [alarm.sentence for alarm in alarms if alarm.check == "other truth"]
    assert "uni: the column 'MSI' of its table contradicts the column 'label'" in sentence
    assert "in 1 of 6 rows (sample 's0': 'a', in the samples table 'b')" in sentence


def test_the_samples_own_name_of_the_truth_is_looked_for_in_any_table(samples):
    clini = samples.rename({"label": "diagnosis"})
    frame = clini.with_columns(prob_a=pl.Series(P), prob_b=1 - pl.Series(P))
    (truth,) = read_study(clini, {"uni": frame}).experts[0].truth
    assert (truth.target, truth.column) == ("label", "diagnosis")
