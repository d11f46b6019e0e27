"""The section of clinical utility: what it draws, and what its table says."""

import polars as pl
import pytest

import pathfuse
from pathfuse.report.page import render
from pathfuse.report.sections.utility import decision_plot, draw, shown

COLUMNS = [
    "output", "outcome", "method", "reference", "threshold", "net_benefit", "ci_low", "ci_high", "n",
]  # fmt: skip


@pytest.fixture(scope="module")
def content(simulate):
    study = pathfuse.read_study(*simulate(classes=("no", "yes")))
    return pathfuse.fuse(study, "static_product", n_resamples=200).content()


def test_both_figures_are_drawn_with_captions(content):
    curves, differences = draw(content)
    assert (curves.name, differences.name) == ("decision_curves", "decision_differences")
    assert "95 % intervals" in curves.caption
    for drawing in (curves, differences):
        assert drawing.figure.get_figwidth() <= 7.4
        assert drawing.svg.startswith("<?xml")


def test_many_classes_fit_the_page():
    rows = [
        ("all", f"class {k}", method, "", t, 0.1 * t, None, None, 9)
        for k in range(12)
        for method in ("fused", "best_expert", "treat_all", "treat_none")
        for t in (0.1, 0.2)
    ]
    figure = decision_plot(pl.DataFrame(rows, schema=COLUMNS, orient="row"))
    assert figure.get_figwidth() <= 7.4
    assert len([axes for axes in figure.axes if axes.lines]) == 6


def test_the_table_is_per_hundred(content):
    found = shown(content)
    assert found is not None
    table = content.tables["utility"]
    assert found["rows"][0]["difference"] == pytest.approx(100 * table["difference"][0])


def test_the_page_has_both_sections(content):
    page = render(content)
    for words in (
        'id="utility"',
        'id="operating_points"',
        "averaged over thresholds from 0.05 to 0.5",
        "Thresholds are chosen on the fit rows",
        "minus",
    ):
        assert words in page


def test_an_evaluation_shows_its_experts(simulate):
    study = pathfuse.read_study(*simulate(classes=("no", "yes")))
    content = pathfuse.evaluate(study, n_resamples=0, operating_point="0.4").content()
    assert [one.name for one in draw(content)] == ["decision_curves"]
    page = render(content)
    assert "if its probability is at least 0.4" in page


@pytest.mark.parametrize("height", [-0.002, -0.2, 0.001, 0.3])
def test_the_curves_of_the_leaders_lie_inside_their_panel(height):
    lines = {"fused": height, "best_expert": 2 * height - 0.01, "treat_all": -5.0, "treat_none": 0}
    rows = [
        ("all", "yes", method, "", t, value, None, None, 9)
        for method, value in lines.items()
        for t in (0.1, 0.2)
    ]
    (panel,) = decision_plot(pl.DataFrame(rows, schema=COLUMNS, orient="row")).axes
    low, high = panel.get_ylim()
    assert low < min(lines["fused"], lines["best_expert"])
    assert high > max(0, height)
    assert low > -1
