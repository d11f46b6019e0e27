"""ROC curves have names where nothing else stands out."""

import polars as pl

from pathfuse.report.curve_figures import roc_plot


def points(*methods):
    return pl.DataFrame(
        [
            {"figure": "roc", "output": "all", "method": m, "group": "yes", "x": x, "y": y, "n": 9}
            for m in methods
            for x, y in ((0.0, 0.0), (0.2, 0.8), (1.0, 1.0))
        ]
    )


def drawn(*methods):
    (panel,) = roc_plot(points(*methods), "yes", ("conch", "uni")).axes
    words = panel.get_legend().get_texts() if panel.get_legend() else []
    colours = {line.get_color() for line in panel.get_lines()[1:]}
    return [text.get_text() for text in words], len(colours)


def test_experts_are_named_and_coloured_without_a_fusion():
    assert drawn("conch", "uni", "uniform_product") == (["conch (0.80)", "uni (0.80)"], 3)


def test_with_a_fusion_it_alone_and_the_best_expert_are_named():
    words, _ = drawn("conch", "uni", "best_expert", "fused")
    assert words == ["best_expert (0.80)", "fused (0.80)"]
