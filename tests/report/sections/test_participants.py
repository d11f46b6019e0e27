"""What the section of participants shows."""

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pathfuse.report.content import Content
from pathfuse.report.sections.participants import SECTION as PARTICIPANTS
from pathfuse.report.theme import DOUBLE, MIDDLE
from pathfuse.workflows.reporting.characteristics import CHARACTERISTICS
from pathfuse.workflows.reporting.participants import DETECTABLE, FLOW

PLAIN = [("read", "", 100, 50, ""), ("fit", "", 60, 30, ""), ("judged", "", 40, 20, "")]
LOST = [
    ("samples table", "", 110, None, ""),
    ("left out", "", 10, None, "no label"),
    ("read", "", 100, 50, ""),
    ("left out", "", 5, 2, "role 'train': the experts saw these rows"),
    *PLAIN[1:],
]
PEOPLE = [
    ("samples", "", None, "60", "40"),
    *[("site", f"S{n}", None, "5 (8.3 %)", "4 (10.0 %)") for n in range(9)],
    ("not scored by", "uni", None, "0 (0.0 %)", "3 (7.5 %)"),
]


def content(flow=PLAIN, people=PEOPLE, detectable=()):
    tables = {
        "flow": pl.DataFrame(flow, schema=FLOW, orient="row"),
        "characteristics": pl.DataFrame(people, schema=CHARACTERISTICS, orient="row"),
        "detectable": pl.DataFrame(list(detectable), schema=DETECTABLE, orient="row"),
    }
    tables = {name: table for name, table in tables.items() if table.height}
    return Content(pl.DataFrame(), pl.DataFrame(), {}, tables=tables)


def words(drawing):
    return [text.get_text() for text in drawing.figure.axes[0].texts if text.get_text()]


def test_nothing_without_tables():
    empty = Content(pl.DataFrame(), pl.DataFrame(), {})
    assert (PARTICIPANTS.shown(empty), PARTICIPANTS.draw(empty)) == (None, [])


def test_the_flow_has_every_count():
    (drawing,) = PARTICIPANTS.draw(content(LOST))
    shown = " ".join(words(drawing))
    for text in ("110 samples", "10: no label", "100 samples of 50 patients", "5: role 'train'",
                 "60 samples of 30 patients", "40 samples of 20 patients"):  # fmt: skip
        assert text in shown
    assert "left out no label: 10 samples" in drawing.alt


def test_the_flow_without_losses_has_three_boxes():
    (drawing,) = PARTICIPANTS.draw(content())
    assert len(drawing.figure.axes[0].patches) == 3
    assert drawing.figure.get_figwidth() <= 7.4


def test_long_characteristics_are_folded_and_missing_predictions_are_not():
    shown = PARTICIPANTS.shown(content())
    assert [row["characteristic"] for row in shown["rows"]] == ["samples", "not scored by"]
    assert len(shown["folded"]) == 9
    assert not shown["complete"]
    assert shown["parts"] == [("fit", "fit"), ("judged", "judged")]


def test_whole_predictions_are_a_sentence():
    shown = PARTICIPANTS.shown(
        content(people=[("not scored by", "uni", None, "0 (0.0 %)", "0 (0.0 %)")])
    )
    assert shown["complete"]
    assert shown["rows"] == []


def test_folds_share_a_column_and_have_a_table():
    flow = [*PLAIN, ("fit", "0", 50, 25, ""), ("judged", "0", 50, 25, "")]
    shown = PARTICIPANTS.shown(content(flow, [("samples", "", None, "100", "100")]))
    assert shown["parts"] == [("judged", "all folds")]
    assert shown["folds"] == [
        {"fold": "0", "fit": 50, "fit_patients": 25, "judged": 50, "judged_patients": 25}
    ]


def test_the_fair_reference_of_a_metric_is_shown():
    rows = [("fused", "best_expert", "all", "auroc", 0.01, 0.028),
            ("fused", "best_expert_auroc", "all", "auroc", 0.02, 0.056)]  # fmt: skip
    assert PARTICIPANTS.shown(content(detectable=rows))["detectable"] == [
        ("AUROC", 0.056, "best_expert_auroc")
    ]


def drawn_inside(drawing):
    """The boxes hold their lines: no text is wider than the box that it stands in."""
    assert drawing.svg
    axes = drawing.figure.axes[0]
    renderer = FigureCanvasAgg(drawing.figure).get_renderer()
    boxes = [patch.get_window_extent(renderer) for patch in axes.patches]
    for text in axes.texts:
        if text.get_text():
            own = text.get_window_extent(renderer)
            middle = (own.y0 + own.y1) / 2
            (box,) = [b for b in boxes if b.x0 < own.x0 < b.x1 and b.y0 < middle < b.y1]
            assert own.x1 < box.x1


def test_with_two_lower_boxes_the_drawing_fits_a_phone():
    folds = [("read", "", 123456, 98765, ""), ("fit", "", 123456, 98765, ""),
             ("judged", "", 123456, 98765, ""), ("judged", "0", 123456, 98765, "")]  # fmt: skip
    for flow in (PLAIN, LOST, folds):
        (drawing,) = PARTICIPANTS.draw(content(flow))
        assert drawing.figure.get_figwidth() == MIDDLE
        assert not drawing.wide
        drawn_inside(drawing)


def test_with_three_lower_boxes_it_is_wide():
    flow = [*PLAIN[:2], ("calibration", "", 12345, 12345, ""), PLAIN[2]]
    (drawing,) = PARTICIPANTS.draw(content(flow))
    assert drawing.figure.get_figwidth() == DOUBLE
    drawn_inside(drawing)
