"""What the section of the worst predictions shows, on a page of a run."""

import re

import polars as pl
import pytest

import pathfuse
from pathfuse.report.content import Content
from pathfuse.report.page import render
from pathfuse.report.sections.failures import SECTION


@pytest.fixture(scope="module")
def page(simulate):
    samples, experts = simulate(n_experts=2, per_patient=2, coverage=0.8)
    result = pathfuse.evaluate(pathfuse.read_study(samples, experts), n_resamples=0)
    return result, render(result.content(), [])


def test_every_failure_is_a_row_with_each_experts_word(page):
    result, text = page
    section = text[text.index('<h2 id="failures"') :].split("<h2 id=")[1]
    table = result.tables["failures"]
    assert re.findall(r'<th scope="row">(.*?)</th>', section) == table["sample_id"].to_list()
    assert "expert_0" in section
    assert "expert_1" in section
    summary = result.manifest["failures"]
    assert f"The {summary['shown']} predictions of" in section
    assert f"{summary['wrong']} of them are wrong" in section


def test_the_section_stands_after_disagreement_and_in_the_contents(page):
    _, text = page
    assert '<a href="#failures">The worst predictions</a>' in text
    assert (
        text.index('id="participants"') < text.index('id="methods"') < text.index('id="failures"')
    )


@pytest.mark.parametrize(("kind", "wrong", "right", "sentence"), [
    ("multiclass", 0, 0, "None of them is wrong."),
    ("multiclass", 1, 0, "1 of them is wrong, and no expert was right there."),
    ("multiclass", 1, 1, "1 of them is wrong, and at least one expert was right there."),
    ("multilabel", 9, 0, "9 of them are wrong, and no expert was right in any of these."),
    ("multilabel", 9, 3, "9 of them are wrong; in 3 of these at least one expert was right."),
    ("regression", 9, 3, "In 3 of them at least one expert erred at most half as much."),
    ("regression", 9, 0, "In none of them did an expert err at most half as much."),
])  # fmt: skip
def test_how_many_are_wrong_is_a_sentence(kind, wrong, right, sentence):
    assert shown_sentence(kind, wrong, right) == sentence


def test_times_are_not_counted_as_wrong():
    assert "wrong" not in shown_sentence("survival", 9, 3)


def shown_sentence(kind, wrong, right):
    facts = {"method": "fused", "shown": 9, "wrong": wrong, "wrong_with_an_expert_right": right}
    manifest = {"endpoint": {"kind": kind}, "experts": {}, "failures": facts}
    table = pl.DataFrame({"output": ["all"]})
    return SECTION.shown(
        Content(pl.DataFrame(), pl.DataFrame(), manifest, tables={"failures": table})
    )["sentence"]
