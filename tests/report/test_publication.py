"""Tables for a paper: what LaTeX and Word are given."""

import polars as pl

from pathfuse.report.publication import PublicationTable, plain_table, wide_metrics
from pathfuse.report.sections.registry import SECTIONS

TABLE = PublicationTable("x", "50 % of <b> & co", ("method", "AUROC"), (("uni_v2", "0.9"),))


def test_latex_is_escaped_and_has_a_line_per_row():
    lines = TABLE.latex.splitlines()
    assert r"\caption{50 \% of \ensuremath{<}b\ensuremath{>} \& co}" in lines
    assert r"uni\_v2 & 0.9 \\" in lines
    assert r"\begin{tabular}{lr}" in lines


def test_html_is_escaped():
    assert "50 % of &lt;b&gt; &amp; co" in TABLE.page
    assert '<th scope="row">uni_v2</th><td>0.9</td>' in TABLE.page


def test_one_row_per_method_best_first():
    metrics = pl.DataFrame(
        {
            "method": ["uni", "fused", "uni", "fused"],
            "output": ["all"] * 4,
            "metric": ["nll", "nll", "auroc", "auroc"],
            "value": [0.5, 0.4, None, 0.9],
            "ci_low": [0.4, None, None, 0.8],
            "ci_high": [0.6, None, None, 0.95],
            "n": [9] * 4,
        }
    )
    assert wide_metrics(metrics).rows() == [
        ("fused", "0.400", "0.900 (0.800 to 0.950)", 9),
        ("uni", "0.500 (0.400 to 0.600)", "—", 9),
    ]


def test_intervals_join_the_figure_before_them():
    table = pl.DataFrame(
        {
            "group": ["a"],
            "value": [0.5],
            "ci_low": [0.4],
            "ci_high": [0.6],
            "difference": [0.2],
            "difference_low": [0.1],
            "difference_high": [0.3],
            "n": [3],
        }
    )
    made = plain_table("subgroups", table)
    assert made.header == ("group", "value (95 % interval)", "difference (95 % interval)", "n")
    assert made.rows == (("a", "0.500 (0.400 to 0.600)", "0.200 (0.100 to 0.300)", "3"),)


def test_thresholds_are_no_interval_and_small_p_values_are_said():
    table = pl.DataFrame(
        {
            "method": ["fused"],
            "rule": ["youden"],
            "threshold_low": [0.05],
            "threshold_high": [0.5],
            "value": [0.5],
            "ci_low": [0.4],
            "ci_high": [0.6],
            "p_holm": [1e-9],
            "nothing": [None],
        }
    )
    made = plain_table("utility", table)
    assert made.header == (
        "method",
        "rule",
        "threshold low",
        "threshold high",
        "value (95 % interval)",
        "p holm",
    )
    assert made.rows == (
        ("fused", "youden", "0.050", "0.500", "0.500 (0.400 to 0.600)", "< 0.001"),
    )


def test_points_of_curves_are_not_printed():
    printed = {name for section in SECTIONS for name in section.printed}
    assert {"characteristics", "operating_points", "calibration", "subgroups"} <= printed
    assert not printed & {"decision_curves", "calibration_curves", "distributions"}
