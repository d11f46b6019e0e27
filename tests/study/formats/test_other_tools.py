"""Formats whose files are single tables."""

import json

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.reading import Reading
from pathfuse.study.study import read_study

LABELS = {"s0": "a", "s1": "b", "s2": "b", "s3": "a", "s4": "b", "s5": "a"}
P = [0.2, 0.9, 0.8, 0.3, 0.6, 0.1]
"""Of class b."""
IDS = list(LABELS)
A_IS_1 = [int(label == "a") for label in LABELS.values()]
OTHER = [1 - p for p in P]


@pytest.mark.parametrize("start", ["", "MSI-"])
def test_slideflow(tmp_path, samples, of_b, start):
    frame = pl.DataFrame(
        {"slide": IDS, f"{start}y_true": A_IS_1, f"{start}y_pred0": P, f"{start}y_pred1": OTHER}
    )
    frame.write_parquet(tmp_path / "uni.parquet")
    assert of_b(read_study(samples, tmp_path), "uni") == P


def test_slideflow_with_several_outcomes(tmp_path, samples, of_b):
    columns = {
        f"{o}-{c}{k}": v for o in ("x", "y") for c, k, v in (("y_pred", 0, P), ("y_pred", 1, OTHER))
    }
    pl.DataFrame({"slide": IDS, "y-y_true0": A_IS_1, **columns}).write_csv(tmp_path / "uni.csv")
    with pytest.raises(InputError, match=r"several outcomes \(x, y\)"):
        read_study(samples, tmp_path)
    renamed = samples.rename({"label": "y"})
    study = read_study(renamed, tmp_path, reading=Reading(columns={"label": "y"}))
    assert of_b(study, "uni") == P


@pytest.mark.parametrize("several", [False, True])
def test_histobistro(tmp_path, samples, of_b, several):
    import math

    logits = [math.log(q / p) for p, q in zip(P, OTHER, strict=True)]
    cells = [f"[0.0, {z}]" if several else z for z in logits]
    frame = pl.DataFrame(
        {
            "": range(6),
            "patient": IDS,
            "ground_truth": A_IS_1,
            "prediction": A_IS_1,
            "logits": cells,
        }
    )
    frame.write_csv(tmp_path / "uni.csv")
    assert of_b(read_study(samples, tmp_path), "uni") == P


def test_predict_proba_with_an_unnamed_index(tmp_path, samples, of_b):
    pl.DataFrame({"": IDS, "a": OTHER, "b": P}).write_csv(tmp_path / "uni.csv")
    assert of_b(read_study(samples, tmp_path), "uni") == P


def test_weights_and_biases(tmp_path, samples, of_b):
    rows = [[i, q, p] for i, q, p in zip(IDS, OTHER, P, strict=True)]
    content = {"columns": ["image", "prob_a", "prob_b"], "data": rows}
    (tmp_path / "uni.table.json").write_text(json.dumps(content))
    assert of_b(read_study(samples, tmp_path), "uni") == P
    assert of_b(read_study(samples, tmp_path / "uni.table.json"), "uni") == P
    (tmp_path / "uni.table.json").write_text(json.dumps({**content, "data": [["s0", 1]]}))
    with pytest.raises(InputError, match="row 1 has 2 values for 3 columns"):
        read_study(samples, tmp_path)


def test_medmnist(tmp_path, of_b):
    lines = [f"{n},{q},{p}" for n, (q, p) in enumerate(zip(OTHER, P, strict=True))]
    file = tmp_path / "pathmnist_test_[AUC]0.9_[ACC]0.8@model1.csv"
    file.write_text("\n".join(lines))
    samples = pl.DataFrame({"sample_id": range(6), "label": [1 - n for n in A_IS_1]})
    study = read_study(samples, file)
    assert study.expert_names == ("model1",)
    assert of_b(study, "model1") == P


def test_results_without_predictions_are_refused(tmp_path, samples):
    (tmp_path / "results.json").write_text(json.dumps({"metrics": {"val": [], "test": []}}))
    with pytest.raises(InputError, match="holds results of eva and no predictions"):
        read_study(samples, tmp_path / "results.json")


def test_numbered_classes_of_any_table(samples, of_b):
    frame = pl.DataFrame({"sample_id": IDS, "y_true": A_IS_1, "score_0": P, "score_1": OTHER})
    assert of_b(read_study(samples, {"uni": frame}), "uni") == P
    numbered = samples.with_columns(label=pl.Series([1 - n for n in A_IS_1]))
    plain = pl.DataFrame({"sample_id": IDS, "prob_0": OTHER, "prob_1": P})
    assert of_b(read_study(numbered, {"uni": plain}), "uni") == P


def test_a_folder_of_folders_with_several_tables_is_refused(tmp_path, samples):
    (tmp_path / "uni").mkdir()
    for name in ("a", "b"):
        (tmp_path / "uni" / f"{name}.csv").write_text("sample_id\n")
    with pytest.raises(InputError, match=r"holds 2 tables \(a.csv, b.csv\)"):
        read_study(samples, tmp_path)


def test_an_expert_of_patients_speaks_for_their_slides(of_b):
    samples = pl.DataFrame(
        {"sample_id": ["x1", "x2", "y1"], "case_id": ["x", "x", "y"], "label": ["a", "a", "b"]}
    )
    expert = pl.DataFrame({"patient": ["x", "y"], "prob_a": [0.8, 0.4], "prob_b": [0.2, 0.6]})
    with pytest.raises(InputError, match="--unit patient lets each speak"):
        read_study(samples, {"uni": expert})
    study = read_study(samples, {"uni": expert}, unit="patient")
    assert of_b(study, "uni") == [0.2, 0.2, 0.6]
    assert any("its 2 rows are patients" in line for line in study.understood)
    alone = read_study(samples[1:], {"uni": expert})  # one slide each: nothing to decide
    assert of_b(alone, "uni") == [0.2, 0.6]


def test_folds_of_patho_bench(of_b):
    cells = {f"fold_{k}": ["test" if n % 3 == k else "train" for n in range(6)] for k in range(3)}
    samples = pl.DataFrame({"slide_id": IDS, "label": list(LABELS.values()), **cells})
    expert = pl.DataFrame({"sample_id": IDS, "prob_a": OTHER, "prob_b": P})
    study = read_study(samples, {"uni": expert})
    assert study.samples.folds.tolist() == [0, 1, 2, 0, 1, 2]
    torn = samples.with_columns(fold_0=pl.lit("test"))
    study = read_study(torn, {"uni": expert})
    assert study.samples.folds is None
    assert any("--columns split=fold_0" in line for line in study.understood)
    chosen = read_study(samples, {"uni": expert}, reading=Reading(columns={"split": "fold_0"}))
    assert chosen.samples.roles.tolist() == ["test", "train", "train"] * 2


def test_a_numbered_class_that_no_sample_has_is_no_reason_to_ask_for_names():
    expert = pl.DataFrame({"sample_id": IDS, "prob_0": OTHER, "prob_1": P, "prob_2": [0.0] * 6})
    samples = pl.DataFrame({"sample_id": IDS, "label": [1 - n for n in A_IS_1]})
    with pytest.raises(InputError, match="no sample has the label '2'"):
        read_study(samples, {"uni": expert})
    study = read_study(samples, {"uni": expert}, reading=Reading(drop_absent_classes=True))
    assert study.endpoint.outcomes == ("0", "1")


def test_numbers_that_contradict_the_labels_are_refused():
    expert = pl.DataFrame({"sample_id": IDS, "Y": A_IS_1, "p_0": OTHER, "p_1": P})
    samples = pl.DataFrame({"sample_id": IDS, "label": [1 - n for n in A_IS_1]})
    with pytest.raises(InputError, match="class 1 is '1' by its number, but the sample 's0'"):
        read_study(samples, {"uni": expert})


def test_folds_of_slides_and_of_patients_in_one_study(tmp_path):
    patients = ["p0", "p1", "p2"]
    samples = pl.DataFrame(
        {"slide_id": IDS, "case_id": [p for p in patients for _ in "ab"], "label": list("aabbaa")}
    )
    for k in range(3):
        slides = pl.DataFrame(
            {"slide_id": IDS[2 * k : 2 * k + 2], "Y_hat": 0, "p_0": 0.5, "p_1": 0.5}
        )
        (tmp_path / "EVAL_slides").mkdir(exist_ok=True)
        slides.write_csv(tmp_path / "EVAL_slides" / f"fold_{k}.csv")
        place = tmp_path / "of_patients" / f"split-{k}"
        place.mkdir(parents=True)
        own = pl.DataFrame(
            {"PATIENT": patients[2 - k : 3 - k], "t": "a", "pred": "a", "t_a": 0.5, "t_b": 0.5}
        )
        own.write_csv(place / "patient-preds.csv")
    study = read_study(samples, tmp_path, reading=Reading(classes="a,b"), unit="patient")
    assert study.expert_names == ("of_patients", "slides")
    assert study.with_own_folds().samples.folds.tolist() == [2, 2, 1, 1, 0, 0]
    assert any("slides has other folds" in line for line in study.about_folds)
