"""The page of every data set has what whoever publishes results must say of it."""

import pytest

from pathfuse.dense.data.card_text import card_text
from pathfuse.dense.data.cards import dataset_cards, find_dataset


@pytest.mark.parametrize("card", dataset_cards().values(), ids=dataset_cards())
def test_a_card_can_be_published(card):
    """Level, organ, size, classes, conversion, licence and citation of each are on its page."""
    text = card_text(card)
    assert text.startswith(f"# {card.name}\n")
    for heading in ("Classes", "How it is converted", "Where it comes from"):
        assert f"\n## {heading}\n" in text
    for line in (
        f"| level | {card.level} |",
        f"| organ | {card.organ} |",
        f"{card.size_14_px} px at patch 14",
        f"- Page: {card.page or 'not known'}",
        f"- Licence: {card.licence or 'not known'}; ",
        f"- To cite: {card.citation}",
    ):
        assert line in text, line
    for name, classes in card.variants.items():
        assert f"pathfuse dense convert {name} downloads/{card.key} --out data/{name}\n" in text
        assert f"- `{name}`: 0 {classes[0]}, 1 {classes[1]}" in text
    assert "None" not in text


def test_every_data_set_can_be_cited():
    assert {key for key, card in dataset_cards().items() if len(card.citation) < 40} == set()


def test_how_the_parts_come_about_is_said():
    official, drawn = card_text(find_dataset("glas")), card_text(find_dataset("cpm15"))
    assert "85 train, 80 test" in official
    assert "The official split is used" in official
    assert "60 / 15 / 25 %" in drawn
    assert "was not run on the downloaded files" in drawn
