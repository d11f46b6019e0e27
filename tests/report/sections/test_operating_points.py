"""The section of decisions."""

import polars as pl
import pytest

import pathfuse
from pathfuse.report.sections.operating_points import draw, shown
from pathfuse.report.sections.utility import shown as shown_utility


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c", "d")])
def test_one_line_per_method_and_class(simulate, classes):
    study = pathfuse.read_study(*simulate(classes=classes))
    content = pathfuse.evaluate(study, n_resamples=0).content()
    found = shown(content)
    assert found is not None
    table = content.tables["operating_points"].filter(~pl.col("method").is_in(found["left"]))
    assert len(found["rows"]) == table.select("method", "outcome").n_unique()
    assert all(len(row["figures"]) == 4 for row in found["rows"])
    assert bool(found["fixed"]) == (len(classes) == 2)
    (drawing,) = draw(content)
    assert drawing.figure.get_figwidth() <= 7.4
    texts = [text.get_text() for axes in drawing.figure.axes for text in axes.texts]
    shown_methods = content.tables["confusion"].filter(method="best_expert")
    assert [str(n) for n in shown_methods["n"]] == texts[: len(classes) ** 2]


def test_runs_without_decisions_have_no_section(simulate):
    study = pathfuse.read_study(*simulate(classes=("no", "yes")))
    content = pathfuse.evaluate(study, n_resamples=0).content()
    content.tables.clear()
    assert shown(content) is None
    assert draw(content) == []


def test_with_many_classes_the_page_shows_the_leaders(simulate):
    study = pathfuse.read_study(*simulate(classes=("a", "b", "c", "d")))
    content = pathfuse.evaluate(study, n_resamples=0).content()
    for section in (shown, shown_utility):
        found = section(content)
        assert found is not None
        assert {row["method"] for row in found["rows"]} == {"best_expert", "uniform_product"}
        assert found["left"] == ["expert_0", "expert_1", "expert_2"]
