"""The section of decisions."""

import pytest

import pathfuse
from pathfuse.report.sections.operating_points import draw, shown


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c", "d")])
def test_one_line_per_method_and_class(simulate, classes):
    study = pathfuse.read_study(*simulate(classes=classes))
    content = pathfuse.evaluate(study, n_resamples=0).content()
    found = shown(content)
    assert found is not None
    table = content.tables["operating_points"]
    n = table.select("method", "outcome").n_unique()
    assert len(found["rows"]) == n
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
