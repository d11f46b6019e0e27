"""What the section of the worst predictions shows, on a page of a run."""

import re

import pytest

import pathfuse
from pathfuse.report.page import render


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
