"""The section of decisions."""

import polars as pl
import pytest

import pathfuse
from pathfuse.report.drawings import Drawing
from pathfuse.report.sections.operating_points import confusion_plot, draw, shortened, shown
from pathfuse.report.sections.utility import shown as shown_utility
from pathfuse.report.theme import DOUBLE, MIDDLE


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


LUNG = ("Lung adenocarcinoma", "Squamous cell carcinoma")
GRADES = tuple(f"Invasive ductal, grade {n + 1}" for n in range(3))


@pytest.mark.parametrize("classes", [("no", "yes"), LUNG, GRADES])
def test_long_names_are_shortened_turned_and_told_apart(simulate, classes):
    study = pathfuse.read_study(*simulate(classes=classes))
    content = pathfuse.evaluate(study, n_resamples=0).content()
    (drawing,) = draw(content)
    assert drawing.svg.startswith("<?xml")  # a warning of the layout would be an error
    figure, panel = drawing.figure, drawing.figure.axes[0]
    assert figure.get_figwidth() in (MIDDLE, DOUBLE)
    across, down = panel.get_xticklabels(), panel.get_yticklabels()
    names = [text.get_text() for text in across]
    assert len(set(names)) == len(classes)
    assert max(map(len, names)) <= 14
    assert [text.get_text() for text in down] == names
    long = classes != ("no", "yes")
    assert {text.get_rotation() for text in across} == {45.0 if long else 0.0}
    assert ("Long names are shortened" in drawing.caption) == long


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
@pytest.mark.parametrize("classes", [("no", "yes"), LUNG, GRADES])
def test_every_matrix_has_room_and_only_the_first_of_a_line_names_its_rows(n_outputs, classes):
    own = pl.DataFrame(
        [(truth, called, 7) for truth in classes for called in classes],
        schema=["truth", "called", "n"],
        orient="row",
    )
    matrices = [
        (f"A gene with a long name {n}", method, own)
        for n in range(n_outputs)
        for method in ("fused", "best_expert")
    ]
    drawing = Drawing("confusion", "", "", confusion_plot(matrices))
    assert drawing.svg
    figure = drawing.figure
    lefts = {}
    for panel in figure.axes[: len(matrices)]:
        box = panel.get_position()
        assert box.width * figure.get_figwidth() > 0.3 * len(classes)
        assert box.height * figure.get_figheight() > 0.29 * len(classes)
        named = any(text.get_text() for text in panel.get_yticklabels())
        lefts.setdefault(named, set()).add(round(box.x0, 2))
    assert len(lefts[True]) == 1
    assert max(lefts[True]) < min(lefts[False])


def test_shortened_names_stay_distinct():
    names = ["abcdefghijklmnop", "abcdefghijklmnopq", "abcdefghijklxyzz", "abcdefghijklxyzzz",
             "abcdefghijkl…1", "short"]  # fmt: skip
    found = shortened(names)
    assert len(set(found)) == len(names)
    assert max(map(len, found)) <= 14
    assert found[-2:] == names[-2:]
