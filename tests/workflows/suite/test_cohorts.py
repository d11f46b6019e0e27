"""Which studies share patients, said by a table or by the cards."""

import pytest

from pathfuse.errors import InputError
from pathfuse.workflows.suite.cards import find_card
from pathfuse.workflows.suite.cohorts import read_cohorts, shared_cohorts


def test_cards_that_share_a_cohort_share_it_through_others():
    names = ("survival_brca", "survival_lusc", "survival_blca", "bracs_3", "bracs_7")
    cards = {f"my_{name}": find_card(name) for name in names}
    alone = shared_cohorts(cards)
    assert alone["my_survival_brca"] == "TCGA-BRCA" != alone["my_survival_lusc"]
    assert alone["my_bracs_3"] == alone["my_bracs_7"]
    joined = shared_cohorts(cards | {"tp53": find_card("mutation_tp53")})
    assert (
        joined["my_survival_brca"]
        == joined["my_survival_lusc"]
        == joined["tp53"]
        == "TCGA-BRCA + TCGA-LUSC"
    )
    assert joined["my_survival_blca"] == "TCGA-BLCA"
    assert shared_cohorts({}) == {}


def test_a_table_of_cohorts(tmp_path):
    file = tmp_path / "cohorts.csv"
    file.write_text("study,cohort\na,X\nb,X\n")
    assert read_cohorts(file, ["a", "b", "c"]) == {"a": "X", "b": "X"}
    for rows, sentence in [
        ("d,X", "column 'study': 'd' is not one of the studies"),
        ("a,X\na,Y", "'a' occurs twice"),
        ("a,", "row 1 is not complete"),
    ]:
        file.write_text(f"study,cohort\n{rows}\n")
        with pytest.raises(InputError, match=sentence):
            read_cohorts(file, ["a", "b", "c"])
