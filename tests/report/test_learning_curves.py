"""Learning curves: a line per model, the chosen epoch marked, nothing where there are no epochs."""

import math

import polars as pl

from pathfuse.report.learning_curves import (
    draw_learning_curves,
    learning_plot,
    save_learning_curves,
)


def history(*parts, validation=True, outlier=None):
    lines = [
        {
            "part": part,
            "epoch": epoch,
            "train_loss": outlier if outlier and epoch == 1 else 1.0 / epoch,
            "validation_loss": 1.5 / epoch if validation else math.nan,
            "rate": 0.1,
            "chosen": epoch == 2,
        }
        for part in parts
        for epoch in (1, 2, 3)
    ]
    return pl.DataFrame(lines)


LINEAR = pl.DataFrame(
    {"part": ["all"], "epoch": [1], "train_loss": [None], "validation_loss": [None], "rate": [0.1],
     "chosen": [True]},
    schema_overrides={"train_loss": pl.Float64, "validation_loss": pl.Float64},
)  # fmt: skip


def test_lines_and_chosen_epochs():
    figure = learning_plot(history("fold_0", "fold_1"))
    assert [panel.get_ylabel() for panel in figure.axes] == ["training loss", "validation loss"]
    lines = figure.axes[1].get_lines()
    assert [line.get_ydata().tolist() for line in lines] == [[1.5, 0.75, 0.5], [0.75]] * 2
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "fold_0",
        "fold_1",
    ]


def test_without_validation_there_is_one_panel():
    assert [p.get_ylabel() for p in learning_plot(history("all", validation=False)).axes] == [
        "training loss"
    ]


def test_an_epoch_far_off_does_not_press_the_others_together():
    scales = [panel.get_yscale() for panel in learning_plot(history("all", outlier=99.0)).axes]
    assert scales == ["log", "linear"]


def test_captions_and_names_of_files(tmp_path):
    drawings = draw_learning_curves({"a b": history("x"), "a.b": history("x", "y"), "l": LINEAR})
    assert [one.name for one in drawings] == ["learning_a_b", "learning_a_b_1"]
    assert drawings[1].caption == (
        "a.b: losses of 2 models by epoch, each a line; a dot is the epoch that was chosen (2 of 3)."
    )
    save_learning_curves("uni", history("x"), tmp_path / "figures")
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        "learning_uni.svg",
        "learning_uni.pdf",
    }
    save_learning_curves("l", LINEAR, tmp_path / "none")
    assert not (tmp_path / "none").exists()
