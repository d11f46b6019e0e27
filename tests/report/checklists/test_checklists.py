"""The checklists: all items, in order, and nothing filled that a run cannot know."""

import re

import polars as pl
import pytest

import pathfuse
from pathfuse.report.checklists.base import Checklist, Item, filled
from pathfuse.report.checklists.claim import CLAIM
from pathfuse.report.checklists.registry import CHECKLISTS
from pathfuse.report.checklists.tripod_ai import TRIPOD_AI

NEVER = ("funding", "conflicts", "registration", "approval", "limitations", "eligible", "blinded")
"""What only authors know."""


def test_every_item_is_there_once():
    assert [one.number for one in CLAIM.items] == [str(n) for n in range(1, 43)]
    numbers = [one.number for one in TRIPOD_AI.items]
    assert len(numbers) == len(set(numbers)) == 52
    whole = [int(re.match(r"\d+", number)[0]) for number in numbers]
    assert whole == sorted(whole)
    assert set(whole) == set(range(1, 28))


@pytest.mark.parametrize("checklist", CHECKLISTS, ids=lambda one: one.file)
def test_a_run_fills_what_it_knows_and_nothing_else(checklist, content):
    found = filled(checklist, content)
    for one in found.items:
        assert bool(one.answer) <= (one.item.fill is not None)
        if any(word in one.item.asks for word in NEVER):
            assert not one.answer
    assert found.n_filled + found.n_in_part >= 20
    assert found.markdown.count("\n| ") == len(checklist.items) + 1
    assert r"Tumour in slides \| a study" in found.markdown


def test_counts_by_hand(content):
    items = (
        Item("1", "x", "a", lambda _: "yes"),
        Item("2", "x", "b", lambda _: "yes", "and more"),
        Item("3", "x", "c", lambda _: ""),
        Item("4", "x", "d"),
    )
    found = filled(Checklist("x", "x", "y", items), content)
    assert found.counts == "of 4 items 1 are filled, 1 in part, and 2 are the authors' to write"


def test_a_default_title_is_not_the_authors(content):
    manifest = {**content.manifest, "title": None}
    assert not TRIPOD_AI.items[0].fill(
        type(content)(content.metrics, content.comparisons, manifest)
    )


def test_the_folder_has_them(content, tmp_path):
    result = pathfuse.evaluate(
        pathfuse.read_study(
            pl.DataFrame({"sample_id": ["a", "b"], "label": ["x", "y"]}),
            {
                "uni": pl.DataFrame(
                    {"sample_id": ["a", "b"], "logit_x": [1.0, 0.0], "logit_y": [0.0, 1.0]}
                )
            },
        ),
        n_resamples=0,
    )
    place = result.save(tmp_path / "out")
    for one in CHECKLISTS:
        text = (place / f"{one.file}.md").read_text()
        assert text == filled(one, result.content()).markdown
    assert {"metrics.tex", "metrics.html"} <= {p.name for p in (place / "tables").iterdir()}


def test_html_of_a_title_or_a_name_does_not_come_through(content):
    items = (Item("1", "x", "a", lambda _: "<b>T & N</b> | it's\n<script>"),)
    text = filled(Checklist("x", "x", "y", items), content).markdown
    assert r"&lt;b&gt;T &amp; N&lt;/b&gt; \| it's &lt;script&gt;" in text
    assert "<" not in text


def test_what_a_run_cannot_know_is_left_to_the_authors():
    left = {one.number: one.left for one in CLAIM.items}
    assert left["1"] == "that it is AI, and of which kind"
    assert left["2"] == "the rest of the abstract"
    assert left["20"] == "how the rows were assigned"
    assert left["26"] == "why this method was asked for"
    assert left["30"] == "other data, scanners, stains"
    assert left["35"] == "performance on the other partitions"
