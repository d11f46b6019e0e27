"""Calibration in figures: which tables and drawings a page has, and what they say."""

import polars as pl
import pytest

from pathfuse.report.content import Content
from pathfuse.report.sections.calibration_detail import LABELS, SECTION
from pathfuse.workflows.reporting.calibration import CURVES, FIGURES

SURVIVAL = {"kind": "survival", "time_edges": ["0.0", "1.0", "2.0", "inf"], "censoring": "later"}
CLASSES = {"kind": "multiclass", "classes": ["a", "b"]}


def content_of(lines, points=(), endpoint=CLASSES, resamples=200, **manifest):
    metrics = pl.DataFrame(schema={"metric": pl.String, "output": pl.String})
    tables = {"calibration": pl.DataFrame(lines, schema=FIGURES, orient="row")}
    if points:
        tables["calibration_curves"] = pl.DataFrame(points, schema=CURVES, orient="row")
    whole = {"endpoint": endpoint, "calibration_resamples": resamples, **manifest}
    return Content(metrics, metrics, whole, tables=tables)


def of_classes(methods=("fused", "best_expert"), groups=("b",)):
    names = ("slope", "ici", "ici_if_calibrated", "brier", "reliability")
    lines = [
        ("all", m, g, name, 0.5, 0.4, 0.6, 90) for m in methods for g in groups for name in names
    ]
    points = [("all", m, g, x, x, x / 2, x) for m in methods for g in groups for x in (0.2, 0.8)]
    return lines, points


def of_survival():
    lines = []
    for m, p in (("fused", 0.5), ("best_expert", 0.01)):
        lines += [("all", m, "", "slope", 1.0, 0.5, 1.5, 90)]
        lines += [
            ("all", m, edge, name, 0.3, None, None, 90)
            for edge in ("1", "2")
            for name in ("observed_to_expected", "observed", "expected")
        ]
        lines += [("all", m, "", "d_calibration", 8.34, None, None, 90)]
        lines += [("all", m, "", "d_calibration_p", p, None, None, 90)]
        lines += [
            ("all", m, f"{b / 10:g}-{(b + 1) / 10:g}", "d_calibration_share", 0.1, None, None, 90)
            for b in range(10)
        ]
    return lines


def test_two_classes_have_one_line_per_method_and_one_curve_with_its_band():
    content = content_of(*of_classes())
    shown = SECTION.shown(content)
    first, brier = shown["tables"]
    assert first["figures"] == ["slope", "ici", "ici_if_calibrated"]
    assert brier["figures"] == ["brier", "reliability"]
    assert [row["method"] for row in first["rows"]] == ["fused", "best_expert"]
    assert not first["named"]
    (drawing,) = SECTION.draw(content)
    assert "confidence bands" in drawing.caption
    assert "200 resamples" in drawing.caption
    (panel,) = drawing.figure.axes
    assert len(panel.get_lines()) == 3
    assert len(panel.collections) == 2


def test_classes_stand_side_by_side_for_both_methods():
    content = content_of(*of_classes(groups=("a", "b", "c")))
    rows = SECTION.shown(content)["tables"][0]["rows"]
    assert [(row["name"], row["method"]) for row in rows][:3] == [
        ("a", "fused"),
        ("a", "best_expert"),
        ("b", "fused"),
    ]
    (drawing,) = SECTION.draw(content)
    assert "each class against the rest" in drawing.caption
    assert [axes.get_title() for axes in drawing.figure.axes[:3]] == ["a", "b", "c"]  # fmt: skip


def test_many_experts_have_no_bands():
    content = content_of(*of_classes(methods=("one", "two", "three")))
    (drawing,) = SECTION.draw(content)
    assert "without bands" in drawing.caption
    assert not drawing.figure.axes[0].collections


def test_survival_has_edges_and_the_verdict_of_d_calibration():
    content = content_of(of_survival(), endpoint=SURVIVAL)
    shown = SECTION.shown(content)
    assert [table["title"] for table in shown["tables"]] == [
        "Slope and intercept of the hazards",
        "Observed by expected at each edge",
    ]
    assert [row["name"] for row in shown["tables"][1]["rows"]] == ["1", "1", "2", "2"]
    fused, best = shown["tests"]
    assert "χ² 8.34" in fused
    assert "shows no deviation" in fused
    assert "deviates" in best.removeprefix("shows no")
    (drawing,) = SECTION.draw(content)
    assert len(drawing.figure.axes) == 2


def test_rows_of_folds_are_said_to_be_taken_together():
    content = content_of(*of_classes(), folds=3)
    assert "all folds together" in SECTION.draw(content)[0].caption
    assert SECTION.shown(content)["folds"]


def test_without_the_table_there_is_no_section():
    bare = content_of(*of_classes())
    empty = Content(bare.metrics, bare.comparisons, bare.manifest)
    assert SECTION.shown(empty) is None
    assert SECTION.draw(empty) == []


@pytest.mark.parametrize("name", LABELS)
def test_headings_are_short_and_meanings_are_there(name):
    heading, meaning = LABELS[name]
    assert len(heading) < 20
    assert meaning
