"""The cards of the paper's tasks: complete, consistent, and written out as they are."""

import json
from collections import Counter
from importlib.resources import files

import polars as pl
import pytest
from pydantic import ValidationError

from pathfuse.errors import InputError
from pathfuse.workflows.suite.cards import (
    Card,
    Suite,
    find_card,
    load_suite,
    read_cards,
    save_cards,
)

CLASSES = {
    "crc_tumor_normal": 2, "brca_idc_ilc": 2, "bracs_3": 3, "bracs_7": 7, "panda": 6,
    "ccrcc": 4, "crc_100k": 9, "crc_msi": 2, "tcga_tils": 2, "esca": 11, "pcam": 2,
}  # fmt: skip
"""Counts of docs/design/logitprod.md, section 1.9."""


def document() -> dict:
    return json.loads(
        files("pathfuse.workflows.suite").joinpath("tasks.json").read_text(encoding="utf-8")
    )


def test_there_are_22_tasks_in_four_families():
    cards = read_cards()
    assert Counter(card.family for card in cards) == {
        "wsi": 5,
        "mutation": 5,
        "survival": 6,
        "tile": 6,
    }
    assert len({card.name for card in cards}) == len(cards) == 22


def test_every_field_of_every_card_says_something():
    for card in read_cards():
        missing = [name for name, value in card.model_dump().items() if value in ("", None, ())]
        assert missing == (["classes"] if card.family == "survival" else ["bins"]), card.name
        assert card.url.startswith("https://")
        assert all(
            f"  {key}" in card.text
            for key in ("task", "cohorts", "experts", "data", "licence", "access", "note")
        )


def test_classes_bins_and_experts_are_the_papers():
    cards = {card.name: card for card in read_cards()}
    assert {name: len(cards[name].classes) for name in CLASSES} == CLASSES
    assert {card.bins for card in cards.values() if card.family == "survival"} == {4}
    assert {card.family: len(card.experts) for card in cards.values()} == {
        "wsi": 7, "mutation": 6, "survival": 6, "tile": 6
    }  # fmt: skip
    assert cards["mutation_tp53"].cohorts == ("TCGA-BRCA", "TCGA-LUSC")
    assert {name for name, card in cards.items() if card.splits == 1} == {
        "panda",
        *list(CLASSES)[5:],
    }
    assert load_suite().encoders["virchow2"] == 2560


def test_a_family_alone():
    assert {card.family for card in read_cards("survival")} == {"survival"}
    with pytest.raises(
        InputError,
        match="--family 'slides' is unknown; choose one of wsi, mutation, survival, tile",
    ):
        read_cards("slides")


def test_find_card_and_what_fits_it():
    assert find_card("unheard_of") is None
    mutation, survival = find_card("mutation_tp53"), find_card("survival_blca")
    assert mutation.fits("multilabel")
    assert mutation.fits("multiclass")
    assert not mutation.fits("survival")
    assert survival.fits("survival")
    assert not survival.fits("multilabel")


def test_a_card_of_grades():
    """A task may be of grades; their number must be the card's, as with classes."""
    content = document()
    content["families"]["wsi"]["endpoint"] = "ordinal"
    suite = Suite.model_validate_json(json.dumps(content))
    card = suite.card(next(task for task in suite.tasks if task.name == "panda"))
    assert card.fits("ordinal")
    assert not card.fits("multiclass")
    grades = tuple(str(k) for k in range(6))
    assert card.misfit("ordinal", grades) is None
    assert "the label has 5 classes" in card.misfit("ordinal", grades[:5])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: d["tasks"][1].update(name="panda"), "two tasks have one name"),
        (lambda d: d["tasks"][0].update(source="nowhere"), "no source 'nowhere'"),
        (lambda d: d["tasks"][0].update(classes=["a", "a"]), "it needs two classes, and each once"),
        (lambda d: d["tasks"][0].update(bins=4), "a survival task has bins"),
        (lambda d: d["tasks"][0].pop("note"), "Field required"),
        (lambda d: d["tasks"][0].update(remark="?"), "Extra inputs"),
        (lambda d: d["families"]["wsi"]["experts"].append("resnet"), "no encoder 'resnet'"),
        (lambda d: d["sources"]["tcga"].update(url="ftp://x"), "should match pattern"),
    ],
)
def test_a_wrong_document_is_refused(spoil, sentence):
    content = document()
    spoil(content)
    with pytest.raises(ValidationError, match=sentence):
        Suite.model_validate_json(json.dumps(content))


def test_saved_cards_hold_every_field(tmp_path):
    cards = read_cards()
    save_cards(cards, tmp_path / "cards.json")
    read = json.loads((tmp_path / "cards.json").read_text())
    assert [Card.model_validate_json(json.dumps(entry)) for entry in read] == cards
    save_cards(cards, tmp_path / "cards.csv")
    table = pl.read_csv(tmp_path / "cards.csv")
    assert table.columns == list(Card.model_fields)
    assert table.row(3, named=True)["classes"] == "ADH|DCIS|FEA|IC|N|PB|UDH"
    for name in ("cards.json", "cards.csv"):
        with pytest.raises(InputError, match="exists already"):
            save_cards(cards, tmp_path / name)
    with pytest.raises(InputError, match="must end in"):
        save_cards(cards, tmp_path / "cards.xlsx")
