"""What the section of subgroups shows."""

import polars as pl
import pytest

from pathfuse.report.content import Content
from pathfuse.report.sections.subgroups import SECTION as SUBGROUPS
from pathfuse.workflows.reporting.subgroups import SUBGROUPS as SCHEMA

METRICS = pl.DataFrame({"method": ["fused"], "output": ["all"], "metric": ["nll"], "value": [0.5]})


def row(group, value, **more):
    cells = dict.fromkeys(SCHEMA) | {
        "column": "sex", "group": group, "output": "all", "method": "fused", "metric": "nll",
        "value": value, "n": 40, "n_patients": 20, "note": "",
    }  # fmt: skip
    return cells | more


def content(*rows):
    table = pl.DataFrame(list(rows), schema=SCHEMA, orient="row")
    return Content(METRICS, pl.DataFrame(), {"drawn": "patient"}, tables={"subgroups": table})


def test_nothing_without_a_table():
    empty = Content(METRICS, pl.DataFrame(), {})
    assert (SUBGROUPS.shown(empty), SUBGROUPS.draw(empty)) == (None, [])


def test_small_groups_are_stated_and_not_drawn():
    of = content(row("F", 0.4), row("M", None, n_patients=3, note="3 patients, fewer than 10"))
    shown = SUBGROUPS.shown(of)
    assert [one["group"] for one in shown["rows"]] == ["F"]
    assert shown["small"] == {"sex": "M (3)"}
    (drawing,) = SUBGROUPS.draw(of)
    labels = [text.get_text() for text in drawing.figure.axes[0].get_yticklabels()]
    assert labels == ["sex: F (20)"]


def test_figures_are_those_of_the_table_and_a_line_stands_at_everybody():
    rows = [row("F", 0.4, ci_low=0.2, ci_high=0.7), row("M", 0.6, ci_low=0.3, ci_high=0.9)]
    (drawing,) = SUBGROUPS.draw(content(*rows))
    (panel,) = drawing.figure.axes
    points = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
    assert points == [0.4, 0.6]
    assert any(list(line.get_xdata()) == [0.5, 0.5] for line in panel.lines)
    assert drawing.figure.get_figwidth() <= 7.4


def test_a_difference_beyond_chance_is_named():
    flagged = row("F", 0.4, p_value=0.001, p_holm=0.002, interaction=True)
    of = content(flagged, row("M", 0.6, p_value=0.001, p_holm=0.002, interaction=True))
    assert SUBGROUPS.shown(of)["flagged"] == ["sex F (NLL)", "sex M (NLL)"]
    assert "Diamonds" in SUBGROUPS.draw(of)[0].caption


def test_best_expert_stands_next_to_it():
    shown = SUBGROUPS.shown(content(row("F", 0.4), row("F", 0.5, method="best_expert")))
    assert shown["reference"] == "best_expert"
    assert shown["rows"][0]["reference"] == pytest.approx(0.5)


def test_each_label_has_a_figure():
    of = content(row("F", 0.4, output="A"), row("F", 0.3, output="B"))
    assert [one.name for one in SUBGROUPS.draw(of)] == ["subgroups_1", "subgroups_2"]
    assert SUBGROUPS.shown(of)["several"]
