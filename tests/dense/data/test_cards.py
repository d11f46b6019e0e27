"""Cards agree with the published leaderboard and with the converters."""

import csv
from pathlib import Path

import pytest

from pathfuse.dense.data.cards import dataset_cards, find_dataset, variant_of
from pathfuse.dense.data.converters.registry import CONVERTERS
from pathfuse.errors import InputError

LEADERBOARD = Path(__file__).parents[4] / "shared/data/densebench_leaderboard/leaderboard.csv"


def benchmark():
    return {key: card for key, card in dataset_cards().items() if card.in_benchmark}


def test_there_are_18_and_their_levels_are_those_that_were_computed():
    levels = [card.level for card in benchmark().values()]
    assert (levels.count("nuclei"), levels.count("gland"), levels.count("tissue")) == (9, 3, 6)


@pytest.mark.skipif(not LEADERBOARD.exists(), reason="../shared is absent")
def test_names_and_levels_are_those_of_the_leaderboard():
    with LEADERBOARD.open() as file:
        published = {row["dataset"]: row["category"] for row in csv.DictReader(file)}
    level = {"nuclear": "nuclei", "nucleus": "nuclei"}
    found = {card.name: card.level for card in benchmark().values()}
    assert found == {name: level.get(kind, kind) for name, kind in published.items()}


def test_sizes_are_multiples_of_the_patch():
    for card in dataset_cards().values():
        assert card.size_14_px % 14 == 0, card.key
        assert card.size_8_16_px % 8 == 0, card.key


def test_every_variant_has_a_converter_and_every_card_its_own_key_first():
    assert set(CONVERTERS) == {
        variant for card in dataset_cards().values() for variant in card.variants
    }
    for key, card in dataset_cards().items():
        assert next(iter(card.variants)) == key
        assert {len(names) for names in card.variants.values()} >= set(card.n_classes)
        for names in card.variants.values():
            assert len(set(names)) == len(names) >= 2


def test_known_facts():
    assert (find_dataset("Lizard").size_14_px, find_dataset("lizard").n_classes) == (336, (7,))
    assert [len(names) for names in find_dataset("BCSS").variants.values()] == [22, 5]
    assert find_dataset("glas").parts == {"train": 85, "test": 80}
    assert sum(find_dataset("pannuke").parts.values()) == find_dataset("pannuke").n_images == 7901
    assert {
        key for key, card in benchmark().items() if card.overlap and "all of it" in card.overlap
    } == {
        "kumar",
        "nucls",
        "bcss",
    }
    assert not any(card.layout_confirmed for card in benchmark().values())


def test_variants_are_found_and_unknown_names_are_told_the_known_ones():
    assert find_dataset("bcss5").key == "bcss"
    assert (variant_of("BCSS5"), variant_of("CoNIC2022")) == ("bcss5", "conic2022")
    with pytest.raises(InputError, match=r"'monuseg'; known are conic2022, .*bcss5.*"):
        find_dataset("monuseg")
