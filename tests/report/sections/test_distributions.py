"""Predictions by outcome: what is drawn and what the caption says."""

import polars as pl

from pathfuse.report.content import Content
from pathfuse.report.sections.distributions import MAX_GROUPS, SECTION
from pathfuse.workflows.reporting.distributions import SCHEMA

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def content_of(
    methods=("fused", "best_expert"),
    groups=("no", "yes"),
    outputs=("all",),
    what="probability of yes",
):
    lines = []
    for output in outputs:
        for method in methods:
            for group in groups:
                key = (output, method, what, group)
                lines += [(*key, "density", x, 0.5, 30) for x in (0.25, 0.75)]
                lines += [(*key, "quantile", level, level, 30) for level in LEVELS]
    metrics = pl.DataFrame(schema={"metric": pl.String, "output": pl.String})
    table = pl.DataFrame(lines, schema=SCHEMA, orient="row")
    manifest = {"endpoint": {"kind": "multiclass"}}
    return Content(metrics, metrics, manifest, tables={"distributions": table})


def test_two_methods_share_a_violin():
    (drawing,) = SECTION.draw(content_of())
    (panel,) = drawing.figure.axes
    assert len(panel.collections) == 4
    assert [text.get_text() for text in panel.get_xticklabels()] == ["no\nn = 30", "yes\nn = 30"]
    assert "fused and best_expert: probability of yes" in drawing.caption
    assert "fused, no: 0.50" in drawing.alt


def test_labels_have_a_panel_each_and_many_experts_one_each_of_the_first_output():
    (labels,) = SECTION.draw(content_of(outputs=("x", "y", "z"), what="probability of the label"))
    assert len(labels.figure.axes) == 3
    assert "whether it is there" in labels.caption
    assert "Drawn" not in labels.caption
    (experts,) = SECTION.draw(content_of(methods=("a", "b", "c"), outputs=("x", "y")))
    assert "Drawn: the first of 2 labels, x." in experts.caption
    assert [axes.get_title() for axes in experts.figure.axes] == ["a", "b", "c"]


def test_many_classes_are_cut_and_it_is_said():
    groups = [f"c{i}" for i in range(MAX_GROUPS + 3)]
    (drawing,) = SECTION.draw(content_of(groups=groups))
    assert len(drawing.figure.axes[0].get_xticks()) == MAX_GROUPS
    assert f"the first {MAX_GROUPS} of {MAX_GROUPS + 3} classes" in drawing.caption


def test_without_the_table_there_is_no_section():
    bare = content_of()
    empty = Content(bare.metrics, bare.comparisons, bare.manifest)
    assert SECTION.shown(empty) is None
    assert SECTION.draw(empty) == []
