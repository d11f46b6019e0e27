"""``pathfuse import`` of CLAM, STAMP and their like."""

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.importers.registry import importer
from pathfuse.study.importers.tool_tables import ToolOptions
from pathfuse.study.study import read_study

IDS, LABELS, P = [f"s{n}" for n in range(6)], list("abbaba"), [0.2, 0.9, 0.8, 0.3, 0.6, 0.1]


@pytest.fixture
def clam(tmp_path):
    for name in ("uni", "conch"):
        place = tmp_path / "eval_results" / f"EVAL_{name}"
        place.mkdir(parents=True)
        for k in range(3):
            own = [k, 5 - k]
            pl.DataFrame(
                {
                    "slide_id": [IDS[i] for i in own],
                    "Y": [float(LABELS[i] == "b") for i in own],
                    "Y_hat": [0.0, 1.0],
                    "p_0": [1 - P[i] for i in own],
                    "p_1": [P[i] for i in own],
                }
            ).write_csv(place / f"fold_{k}.csv")
    return tmp_path / "eval_results"


def test_clam_without_a_table_of_samples(clam, tmp_path):
    imported = importer("clam").read(clam, ToolOptions(classes=("a", "b")))
    assert imported.samples.to_dict(as_series=False) == {
        "sample_id": IDS, "label": LABELS, "fold": [0, 1, 2, 2, 1, 0],
    }  # fmt: skip
    assert list(imported.predictions) == ["conch", "uni"]
    assert imported.predictions["uni"].columns == ["sample_id", "prob_a", "prob_b"]
    assert len(imported.manifest["inputs"]) == 6
    assert imported.manifest["rows"] == {"samples": 6, "fold": {"0": 2, "1": 2, "2": 2}}
    imported.save(tmp_path / "study")
    study = read_study(tmp_path / "study" / "samples.csv", tmp_path / "study" / "predictions")
    assert study.endpoint.outcomes == ("a", "b")
    assert study.samples.folds is not None


def test_clam_with_patients(clam, tmp_path):
    cases = ["x", "y", "z", "z", "y", "x"]
    table = tmp_path / "set.csv"
    pl.DataFrame({"case_id": cases, "slide_id": IDS, "label": LABELS}).write_csv(table)
    imported = importer("clam").read(clam, ToolOptions(samples=table))
    assert imported.samples["patient_id"].to_list() == cases
    assert imported.predictions["conch"]["prob_b"].cast(pl.Float64).to_list() == P


def test_stamp(tmp_path):
    for k in range(2):
        place = tmp_path / "uni" / f"split-{k}"
        place.mkdir(parents=True)
        own = range(k, 6, 2)
        pl.DataFrame(
            {
                "PATIENT": [IDS[i] for i in own],
                "MSI": [LABELS[i] for i in own],
                "pred": "a",
                "MSI_a": [1 - P[i] for i in own],
                "MSI_b": [P[i] for i in own],
                "loss": 0.5,
            }
        ).write_csv(place / "patient-preds.csv")
    imported = importer("stamp").read(tmp_path / "uni")
    assert imported.samples["label"].to_list() == LABELS
    assert imported.samples["fold"].to_list() == [0, 1] * 3
    assert imported.predictions["uni"].columns == ["sample_id", "prob_a", "prob_b"]
    with pytest.raises(InputError, match="is not of the format 'clam'"):
        importer("clam").read(tmp_path / "uni")


def test_patients_that_are_named_like_slides_stay_patients(tmp_path):
    numbers = [f"{n}" for n in range(6)]
    samples = tmp_path / "slides.csv"
    pl.DataFrame({"slide_id": numbers, "case_id": numbers[::-1], "MSI": LABELS}).write_csv(samples)
    for k in range(2):
        place = tmp_path / "uni" / f"split-{k}"
        place.mkdir(parents=True)
        own = range(3 * k, 3 * k + 3)
        columns = {"PATIENT": [numbers[i] for i in own], "MSI": [LABELS[5 - i] for i in own]}
        columns |= {"pred": "a", "MSI_a": [1 - P[i] for i in own], "MSI_b": [P[i] for i in own]}
        pl.DataFrame(columns).write_csv(place / "patient-preds.csv")
    imported = importer("stamp").read(tmp_path / "uni", ToolOptions(samples=samples))
    assert imported.predictions["uni"].columns == ["patient_id", "prob_a", "prob_b"]
    assert imported.samples["fold"].to_list() == [1, 1, 1, 0, 0, 0]
    imported.save(tmp_path / "study")
    study = read_study(tmp_path / "study" / "samples.csv", tmp_path / "study" / "predictions")
    found = np.exp(study.logits("all", np.full(2, 0.5))[:, 0, 1])
    assert found.round(6).tolist() == P[::-1]


def test_risks_with_their_follow_up(tmp_path):
    columns = {"pred_score": P, "time": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "event": [1, 0] * 3}
    pl.DataFrame({"PATIENT": IDS, **columns}).write_csv(tmp_path / "uni.csv")
    imported = importer("cox").read(tmp_path / "uni.csv")
    assert imported.samples.columns == ["sample_id", "patient_id", "time", "event"]
    assert imported.predictions["uni"].columns == ["sample_id", "risk"]


def test_without_a_truth_samples_are_needed(tmp_path):
    pl.DataFrame({"PATIENT": IDS, "risk": P}).write_csv(tmp_path / "uni.csv")
    with pytest.raises(InputError, match="give a table of samples"):
        importer("cox").read(tmp_path / "uni.csv")
