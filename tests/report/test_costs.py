"""The table of costs: what is unknown is said, what is known adds up, large numbers are readable."""

import pytest

from pathfuse.costs import Cost
from pathfuse.report.costs import COLUMNS, cost_lines, cost_sentence, short

UNI = Cost(12.0, 20.0, 1_234.5, 300.0, 1_500_000, 2.5e12, 3e7)
CONCH = Cost(6.0, 9.0, 900.0, 200.0, 500_000, 5e11, 1e7)
FUSED = Cost(0.5, 0.5, 280.0, 3.25, 96, 1e9, 961.9)


def manifest(**experts):
    found = {name: cost and cost.as_dict() for name, cost in experts.items()}
    return {"costs": {"experts": found, "fusion": FUSED.as_dict()}}


def shown(line):
    return [text for _, text in line["cells"]]


def test_a_line_for_every_expert_their_sum_and_the_fusion():
    lines = {line["method"]: line for line in cost_lines(manifest(uni=UNI, conch=CONCH))}
    assert list(lines) == ["uni", "conch", "all experts", "fused"]
    assert shown(lines["uni"]) == ["12.00", "1,234", "300", "1.5 M", "2.5 T", "30.0 M"]
    assert shown(lines["all experts"]) == ["18.00", "1,234", "300", "2.0 M", "3.0 T", "40.0 M"]
    assert shown(lines["fused"]) == ["0.50", "280", "3.25", "96", "1.0 G", "962"]
    assert all(len(line["cells"]) == len(COLUMNS) for line in lines.values())


def test_an_expert_of_unknown_cost_leaves_no_sum():
    lines = {line["method"]: line for line in cost_lines(manifest(uni=UNI, csv=None))}
    assert list(lines) == ["uni", "csv", "fused"]
    assert not lines["csv"]["recorded"]
    assert set(shown(lines["csv"])) == {"—"}
    assert cost_sentence(manifest(uni=UNI, csv=None)) == (
        "Against the fit of the fusion: uni 24 times the wall time and 2.5 k times the FLOPs."
    )


def test_the_sentence_says_what_is_known():
    said = cost_sentence(manifest(uni=UNI, conch=Cost(wall_s=6.2)))
    assert "conch 12.4 times the wall time; all experts 36.4 times the wall time." in said
    assert cost_sentence(manifest(csv=None)) == ""


def test_without_costs_there_is_nothing():
    assert cost_lines({}) == []
    assert cost_sentence({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.1234, "0.12"), (5.13, "5.1"), (52, "52"), (961.9, "962"), (999.6, "1.0 k"), (1_000, "1.0 k"),
     (999_400, "999 k"), (999_600, "1.0 M"), (1.234e9, "1.2 G"), (1.5e12, "1.5 T"), (3e15, "3.0 P"), (2e21, "2000 E")],
)  # fmt: skip
def test_numbers_can_be_read(value, text):
    assert short(value) == text
