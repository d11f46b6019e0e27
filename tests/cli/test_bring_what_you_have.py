"""A study as a laboratory has it: CLAM's folds, STAMP's splits, a sheet of Excel; three spellings of
ids. From files to report in one command."""

import json

import numpy as np
import polars as pl
import pytest

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("fastexcel")

PATIENTS, CLASSES = 120, ("MSS", "MSIH")


def sheet(path, columns):
    """Writes a spreadsheet as a person would: every identifier as text."""
    book = openpyxl.Workbook()
    book.active.append(list(columns))
    for row in zip(*columns.values(), strict=True):
        book.active.append(list(row))
    book.save(path)


@pytest.fixture
def laboratory(tmp_path):
    """Two slides of every third patient; folds differ between the tools."""
    rng = np.random.default_rng(17)
    patients = [f"TCGA-A{n % 7}-{1000 + n}" for n in range(PATIENTS)]
    truth = rng.integers(2, size=PATIENTS)
    owner = [n for n in range(PATIENTS) for _ in range(1 + (n % 3 == 0))]
    slides = [
        f"{patients[n]}-01Z-00-DX{1 + (k > 0 and owner[k - 1] == n)}.{k:08X}"
        for k, n in enumerate(owner)
    ]

    def prob(signal, rows):
        y = truth[rows]
        return 1 / (1 + np.exp(-signal * (2 * y - 1) - 1.2 * rng.normal(size=len(rows))))

    sheet(
        tmp_path / "clini.xlsx",
        {
            "PATIENT": [patients[n] for n in owner],
            "FILENAME": [f"{name}.svs" for name in slides],
            "isMSIH": [CLASSES[truth[n]] for n in owner],
        },
    )
    p, y = prob(1.4, owner), truth[owner].astype(float)
    for k in range(5):
        place = tmp_path / "eval_results/EVAL_uni"
        place.mkdir(parents=True, exist_ok=True)
        rows = [i for i, n in enumerate(owner) if n % 5 == k]
        columns = {"slide_id": [slides[i] for i in rows], "Y": y[rows], "Y_hat": p[rows].round()}
        pl.DataFrame(columns | {"p_0": 1 - p[rows], "p_1": p[rows]}).write_csv(
            place / f"fold_{k}.csv"
        )
    q, order = prob(1.0, list(range(PATIENTS))), rng.permutation(PATIENTS)
    for k in range(3):
        place = tmp_path / f"stamp/virchow2/split-{k}"
        place.mkdir(parents=True)
        rows = order[k::3]
        label = [CLASSES[truth[n]] for n in rows]
        columns = {"PATIENT": [patients[n] for n in rows], "isMSIH": label, "pred": label}
        pl.DataFrame(
            columns | {"isMSIH_MSS": 1 - q[rows], "isMSIH_MSIH": q[rows], "loss": [0.5] * len(rows)}
        ).write_csv(place / "patient-preds.csv")
    r = prob(0.8, owner)
    sheet(
        tmp_path / "conch.xlsx",
        {"slide": [f" {name}.h5" for name in slides], "MSS": 100 - 100 * r, "MSIH": 100 * r},
    )
    return tmp_path


@pytest.mark.slow
def test_one_command_from_files_to_report(laboratory, run_cli):
    status, out, err = run_cli(
        "fuse",
        "--samples",
        laboratory / "clini.xlsx",
        "--predictions",
        laboratory / "eval_results",
        laboratory / "stamp",
        laboratory / "conch.xlsx",
        "--unit",
        "patient",
        "--percent",
        "--out",
        laboratory / "o",
        "--resamples",
        100,
    )
    assert status == 0, err
    manifest = json.loads((laboratory / "o/manifest.json").read_text())
    assert set(manifest["experts"]) == {"uni", "virchow2", "conch"}
    assert all(one["coverage_judged"] == 1 for one in manifest["experts"].values())
    assert manifest["rows"]["patients_judged"] == PATIENTS
    assert manifest["rows"]["judged"] == 160
    assert manifest["left_out"] == []
    assert manifest["alarms"] == []
    assert "Understood:" in out
    metrics = pl.read_csv(laboratory / "o/metrics.csv").filter(metric="auroc")
    auroc = dict(zip(metrics["method"], metrics["value"], strict=True))
    assert auroc["fused"] > max(auroc[name] for name in ("uni", "virchow2", "conch"))
    assert (laboratory / "o/report.html").is_file()
