"""``drift.html``."""

import numpy as np
import polars as pl

from pathfuse.report.drift import SHOWN, DriftContent, drawings, render

ROW = {
    "figure": "entropy of '<b>uni$'", "compared": "size", "probability_higher": 0.7, "z": 5.0,
    "p_value": 0.0002, "batch_alarm": True, "stream_alarm": "s7",
}  # fmt: skip
SUMMARY = {
    "samples": 40, "patients": 40, "patients_named": False, "samples_as_one_patient": 3,
    "fit_patients": 60, "false_alarms": 0.01, "pathfuse": "1", "seed": 0,
    "stream": {"patients_in_a_step": 1}, "batch": {"limit": 4.0},
}  # fmt: skip
WINDOW = {
    "window": 1, "first": "s0", "last": "s9", "output": "all", "figure": "nll", "value": 0.5,
    "ci_low": 0.4, "ci_high": 0.6, "reference": 0.3, "n_patients": 50,
}  # fmt: skip


def content(windows=None):
    table = pl.DataFrame([ROW, {**ROW, "compared": "spread", "probability_higher": None}]
                         + [{**ROW, "figure": f"f{n}"} for n in range(30)])  # fmt: skip
    return DriftContent("Drift found.", True, table, windows, SUMMARY, np.arange(40.0), 9.0)


def test_names_are_shown_as_they_are_and_each_figure_once():
    shown = content()
    page = render(shown, drawings(shown))
    assert "&lt;b&gt;uni$" in page
    assert "<b>uni" not in page
    assert page.count("how much it varies") == 0
    assert page.count('<th scope="row">') == SHOWN
    assert "3 samples count as one" in page
    assert "Loss and calibration over time" not in page


def test_with_truths_there_are_windows():
    shown = content(
        pl.DataFrame([WINDOW, {**WINDOW, "window": 2, "figure": "slope", "ci_low": None}])
    )
    drawn = drawings(shown)
    assert [one.name for one in drawn] == ["stream", "figures", "windows"]
    page = render(shown, drawn)
    assert "calibration slope" in page
    assert "0.400 to 0.600" in page
