"""Scores as leaderboards and other tools publish them."""

import json

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.importers.scored_studies import read_scores
from pathfuse.workflows.ranking.rank import rank

VALUES = {"uni": (0.9, 0.8), "conch": (0.85, 0.83), "phikon": (0.7, 0.6)}
ROWS = [
    (study, model, value)
    for model, values in VALUES.items()
    for study, value in zip(("bach", "panda"), values, strict=True)
]


def scores(place):
    (board,) = read_scores([place])
    return board, sorted(board.scores.select("study", "method", "value").rows())


def wide(**more):
    models = list(VALUES)
    columns = {t: [VALUES[m][k] for m in models] for k, t in enumerate(("bach", "panda"))}
    return pl.DataFrame({"model": models, **columns, **more})


def test_one_row_per_model(tmp_path):
    wide(average=[0.85, 0.84, 0.65], licence=["a", "b", "c"]).write_csv(tmp_path / "wide.csv")
    board, found = scores(tmp_path / "wide.csv")
    assert found == sorted(ROWS)
    assert board.default_metric == "score"
    assert any("rows are methods" in note for note in board.notes)
    assert any("average, licence" in note for note in board.notes)


def test_one_row_per_task(tmp_path):
    pl.DataFrame(
        {"task": ["bach", "panda"], **{model: list(own) for model, own in VALUES.items()}}
    ).write_csv(tmp_path / "wide.csv")
    board, found = scores(tmp_path / "wide.csv")
    assert found == sorted(ROWS)
    assert any("rows are studies" in note for note in board.notes)


def test_cells_as_leaderboards_print_them(tmp_path):
    cells = [f"**{VALUES[m][0]} ± 0.02**" for m in VALUES]
    wide().with_columns(bach=pl.Series(cells)).write_csv(tmp_path / "wide.csv")
    assert scores(tmp_path / "wide.csv")[1] == sorted(ROWS)


def test_what_is_better_can_be_turned_round(tmp_path):
    wide().write_csv(tmp_path / "wide.csv")
    assert rank([tmp_path / "wide.csv"]).summary["method"][-1] == "phikon"
    turned = rank([tmp_path / "wide.csv"], higher_is_better=False)
    assert turned.summary["method"][0] == "phikon"


def test_a_table_without_numbers_is_refused(tmp_path):
    pl.DataFrame({"model": ["a", "b"], "x": ["y", "z"], "w": ["y", "z"]}).write_csv(
        tmp_path / "t.csv"
    )
    with pytest.raises(InputError, match="here 0 of the columns x, w hold numbers"):
        read_scores([tmp_path / "t.csv"])


def runs(names, **more):
    rows = [
        {
            names[0]: study,
            names[1]: model,
            "seed": seed,
            names[2]: value + 0.01 * (seed - 1),
            **more,
        }
        for study, model, value in ROWS
        for seed in range(3)
    ]
    return pl.DataFrame(rows)


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (("target", "model", "test_auroc"), {"val_auroc": 0.5}),
        (("study", "method", "value"), {"metric": "auroc"}),
    ],
)
def test_runs_with_seeds_are_averaged_and_their_spread_is_kept(tmp_path, names, more):
    runs(names, **more).write_csv(tmp_path / "runs.csv")
    board, found = scores(tmp_path / "runs.csv")
    assert [row[:2] for row in found] == [row[:2] for row in sorted(ROWS)]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in sorted(ROWS)])
    assert board.default_metric == "auroc"
    assert board.runs["n"].to_list() == [3] * 6
    assert board.runs["sd"].to_list() == pytest.approx([0.01] * 6)
    assert any(
        "3 runs of a method on a study ('seed') are averaged" in note for note in board.notes
    )
    manifest = rank([tmp_path / "runs.csv"]).manifest
    assert manifest["runs"][0]["n"] == 3
    assert any("averaged" in note for note in manifest["notes"])


def test_a_run_that_occurs_twice_is_refused(tmp_path):
    frame = runs(("target", "model", "test_auroc"))
    pl.concat([frame, frame[:1]]).write_csv(tmp_path / "runs.csv")
    with pytest.raises(InputError, match="study 'bach' has the method 'uni' twice with seed '0'"):
        read_scores([tmp_path / "runs.csv"])


def write(place, content):
    place.write_text(json.dumps(content))
    return place


def test_results_of_eva(tmp_path):
    for study, model, value in ROWS:
        folder = tmp_path / model / study / "2024-01-01"
        folder.mkdir(parents=True)
        own = {"AUROC": {"mean": value, "stdev": 0.02, "values": [value - 0.02, value + 0.02]}}
        write(
            folder / "results.json", {"metrics": {"val": [{"AUROC": {"mean": 0.1}}], "test": [own]}}
        )
    board, found = scores(tmp_path)
    assert found == sorted(ROWS)
    assert set(board.runs["sd"]) == {0.02}
    with pytest.raises(InputError, match="<model>/<task>"):
        read_scores([tmp_path / "uni" / "bach"])


def test_performance_of_pathbench(tmp_path):
    content = [
        {
            "modelID": model,
            "organ": "x",
            "task_name": study,
            "cohort": "c",
            "taskId": study,
            "metrics": {"AUC": [value - 0.01, value + 0.01]},
        }
        for study, model, value in ROWS
    ]
    board, found = scores(write(tmp_path / "performance.json", content))
    assert [row[2] for row in found] == pytest.approx([row[2] for row in sorted(ROWS)])
    assert set(board.scores["cohort"]) == {"c"}
    assert board.runs["n"].to_list() == [2] * 6


def test_nested_json(tmp_path):
    inside = {}
    for study, model, value in ROWS:
        cell = {"mean": value, "ci_lower": value - 0.1, "ci_upper": value + 0.1}
        inside.setdefault(study, {})[model] = {"Mean_Dice": cell}
    board, found = scores(write(tmp_path / "three.json", inside))
    assert found == sorted(ROWS)
    assert board.scores["ci_low"].null_count() == 0
    plain = {m: {t: VALUES[m][k] for k, t in enumerate(("bach", "panda"))} for m in VALUES}
    board, found = scores(write(tmp_path / "two.json", plain))
    assert found == sorted(ROWS)
    assert any("model, task, from the outside" in note for note in board.notes)


def test_rows_of_a_table_as_json(tmp_path):
    rows = wide().to_dicts()
    assert scores(write(tmp_path / "rows.json", rows))[1] == sorted(ROWS)
    table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    assert scores(write(tmp_path / "table.json", table))[1] == sorted(ROWS)
    with pytest.raises(InputError, match="holds no scores that are understood"):
        read_scores([write(tmp_path / "no.json", {"a": 1})])


PROPERTIES = ("Parameters (M)", "params [B]", "embedding dim", "dim", "patch size", "GFLOPs", "#slides", "tiles",
              "images", "year", "rank", "Avg.", "Mean", "release date")  # fmt: skip


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties_of_models_are_no_studies(tmp_path, name):
    wide(**{name: [300, 86, 22]}).write_csv(tmp_path / "wide.csv")
    board, found = scores(tmp_path / "wide.csv")
    assert found == sorted(ROWS)
    assert any(note.endswith(f"no scores of a study: {name}") for note in board.notes)


def test_properties_of_tasks_are_no_studies(tmp_path):
    frame = pl.DataFrame({"task": ["bach", "panda"], **{m: list(own) for m, own in VALUES.items()}})
    more = pl.DataFrame({"task": ["Average", "Params (M)"], **{m: [0.8, 300.0] for m in VALUES}})
    pl.concat([frame, more]).write_csv(tmp_path / "wide.csv")
    board, found = scores(tmp_path / "wide.csv")
    assert found == sorted(ROWS)
    assert any("rows that are no scores of a study: Average, Params (M)" in n for n in board.notes)
    plain = {m: {"bach": own[0], "panda": own[1], "average": 0.5} for m, own in VALUES.items()}
    assert scores(write(tmp_path / "two.json", plain))[1] == sorted(ROWS)


def test_numbers_of_another_kind_are_no_scores(tmp_path):
    wide(tokens=[300, 1200, 5000]).write_csv(tmp_path / "wide.csv")
    board, found = scores(tmp_path / "wide.csv")
    assert found == sorted(ROWS)
    assert any("no scores of a study: tokens" in note for note in board.notes)
    wide(odd=[71.0, 68.0, 64.0]).write_csv(tmp_path / "wide.csv")
    with pytest.raises(InputError, match="'odd' has numbers from 64 to 71, while those of bach"):
        read_scores([tmp_path / "wide.csv"])


def test_tasks_that_are_named_after_a_loss_rank_the_lower_first(tmp_path):
    wide().rename({"bach": "mse_bach", "panda": "mse_panda"}).write_csv(tmp_path / "wide.csv")
    (board,) = read_scores([tmp_path / "wide.csv"])
    assert board.default_metric == "mse"
    assert rank([tmp_path / "wide.csv"]).summary["method"][0] == "phikon"
    wide().rename({"bach": "bach_nll"}).write_csv(tmp_path / "mixed.csv")
    with pytest.raises(InputError, match="'bach_nll' is named after a loss, of which less is bet"):
        read_scores([tmp_path / "mixed.csv"])
    wide(loss_x=[1, 2, 3]).write_csv(tmp_path / "mixed.csv")
    with pytest.raises(InputError, match="rank them apart"):
        read_scores([tmp_path / "mixed.csv"])
