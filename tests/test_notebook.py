"""What a notebook shows: a bar while it works, then the answer."""

import sys
from types import ModuleType

import polars as pl

import pathfuse
from pathfuse.progress import notebook_bar, shown_here, silent


class Screen(ModuleType):
    """Stands in for ``IPython.display``."""

    def __init__(self):
        super().__init__("IPython.display")
        self.shown = []

    def HTML(self, text):  # noqa: N802
        return text

    def display(self, text, display_id):
        self.shown.append(text)
        return self

    def update(self, text):
        self.shown[-1] = text


def test_one_bar_that_fills(monkeypatch):
    screen = Screen()
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", screen)
    report = notebook_bar()
    report("reading", 0.0)
    report("fitting <all>", 0.5)
    assert screen.shown == ['<progress max="1" value="0.500"></progress> fitting &lt;all&gt;']


def test_a_bar_in_a_notebook_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert shown_here() is silent


def test_studies_and_results_are_short_in_words_and_whole_in_html():
    ids = [f"s{i}" for i in range(20)]
    samples = pl.DataFrame(
        {"sample_id": ids, "split": ["fit"] * 10 + ["test"] * 10, "label": ["a", "<b>"] * 10}
    )
    uni = pl.DataFrame({"sample_id": ids, "logit_a": [1.0, -1.0] * 10, "logit_<b>": [0.0] * 20})
    study = pathfuse.read_study(samples, {"uni": uni, "conch": uni.head(18)})
    assert repr(study) == "Study(multiclass, 20 samples, 2 experts: conch, uni)"
    assert "<td>conch</td><td>18</td>" in study._repr_html_()
    result = pathfuse.fuse(study, method="static_product", n_resamples=0)
    assert repr(result).startswith("Result(Predicted: which class (<b>, a), of 10 samples")
    assert len(repr(result)) < 250
    page = result._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<tr>") == result.summary().height + 1
    assert result.summary()["method"][0] in result.metrics["method"]
