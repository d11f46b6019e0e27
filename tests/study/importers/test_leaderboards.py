"""Scores as leaderboards and other tools publish them."""

import json
import random
import statistics

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.registry import METRICS
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


TASKS = ("crc", "luad", "panda", "bach")
MODELS = ("uni", "conch", "phikon")
GRID = {
    model: [round(0.6 + 0.07 * ((3 * i + 5 * j) % 4) + 0.01 * i, 3) for j in range(4)]
    for i, model in enumerate(MODELS)
}
"""Scores of three models on four tasks, no two of a task equal."""


def column(task, turn=lambda value: value):
    return [turn(GRID[model][TASKS.index(task)]) for model in MODELS]


def leaderboard(called="{}", turn=lambda value: value, **more):
    return pl.DataFrame({"model": MODELS, **{called.format(t): column(t, turn) for t in TASKS}, **more})  # fmt: skip


def order(place, **options):
    """Models, best first, and their mean ranks."""
    return rank([place], **options).summary.select("method", "mean_rank").rows()


@pytest.fixture
def right(tmp_path):
    leaderboard().write_csv(tmp_path / "right.csv")
    return order(tmp_path / "right.csv")


ABOUT = {
    **dict.fromkeys(("{}_std", "{}_sd", "{} SEM", "{} (std. dev.)", "std_{}", "{}_stderr", "{}±"), 0.01),
    **dict.fromkeys(("{} CI low", "{}_lower", "{} 95% CI lower"), -0.1),
    **dict.fromkeys(("{} CI high", "{}_upper", "{}_ci95_hi", "\u0394{}"), 0.1),
    **dict.fromkeys(("{}_n", "{} n_samples", "n {}"), 100),
    "{}_pvalue": 0.5,
}  # fmt: skip
"""Columns that say something of a task's value, and what stands in them: of limits, with the value."""


@pytest.mark.parametrize("called", ABOUT)
@pytest.mark.parametrize("base", ["{}", "{}_auc", "{}_mean"])
def test_what_is_said_of_a_task_is_no_study(tmp_path, right, called, base):
    own = ABOUT[called]
    more = {}
    for k, task in enumerate(TASKS):
        value = [
            v + own if abs(own) == 0.1 else own + own * ((i + k) % 3) / 10
            for i, v in enumerate(column(task))
        ]
        whole = own == 100
        name = called.format(base.format(task) if base != "{}_mean" else task)
        more[name] = [round(v) for v in value] if whole else value
    leaderboard(base, **more).write_csv(tmp_path / "wide.csv")
    board, _ = scores(tmp_path / "wide.csv")
    assert board.scores["study"].n_unique() == 4
    assert any(f"are left out: {next(iter(more))}" in note for note in board.notes)
    assert order(tmp_path / "wide.csv") == right


def test_names_that_only_look_like_limits_are_studies(tmp_path):
    for low in ([0.7, 0.8, 0.5], [0.7, 0.6, 0.5]):
        pl.DataFrame({"model": MODELS, "her2": [0.8, 0.7, 0.6], "her2_low": low}).write_csv(
            tmp_path / "t.csv"
        )
        assert scores(tmp_path / "t.csv")[0].scores["study"].n_unique() == 2
    tasks = {"grade": [0.8, 0.7, 0.6], "low_grade": [0.7, 0.6, 0.5], "high_grade": [0.9, 0.8, 0.7]}
    pl.DataFrame({"model": MODELS, **tasks}).write_csv(tmp_path / "t.csv")
    assert scores(tmp_path / "t.csv")[0].scores["study"].n_unique() == 3
    frame = {"task": TASKS, "resnet": GRID["uni"], "se_resnet": GRID["conch"]}
    pl.DataFrame(frame).write_csv(tmp_path / "t.csv")
    assert scores(tmp_path / "t.csv")[0].scores["method"].n_unique() == 2


@pytest.mark.parametrize("words", [("low", "high"), ("min", "max"), ("lo", "hi"), ("q1", "q3")])
@pytest.mark.parametrize("base", ["{}", "{}_auc", "{}_mean"])
def test_limits_by_plain_words_are_left_out_where_both_are_there(tmp_path, right, words, base):
    limits = {
        f"{t}_{word}": column(t, lambda v, d=d: v + d)
        for t in TASKS
        for word, d in zip(words, (-0.1, 0.1), strict=True)
    }
    leaderboard(base, **limits).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right
    names = list(limits)[:2]
    one = leaderboard(base, **{name: limits[name] for name in names})
    one.write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match=f"'{names[0]}' may be a limit of .* or scores of its own"):
        read_scores([tmp_path / "t.csv"])
    one.drop(names[1]).write_csv(tmp_path / "t.csv")
    assert scores(tmp_path / "t.csv")[0].scores["study"].n_unique() == 5


AWKWARD = ("mean", "max", "median", "rank", "n", "min", "best")


@pytest.mark.parametrize("scale", [1, 100])
def test_methods_with_awkward_names_stay_unless_their_values_are_a_summary(tmp_path, scale):
    draw = random.Random(scale)
    grid = {m: [round(scale * draw.uniform(0.5, 0.9), 4) for _ in TASKS] for m in (*AWKWARD, "uni")}
    as_rows = pl.DataFrame(
        {"model": list(grid), **{t: [grid[m][j] for m in grid] for j, t in enumerate(TASKS)}}
    )
    long = [{"study": t, "method": m, "metric": "auroc", "value": grid[m][j]}
            for m in grid for j, t in enumerate(TASKS)]  # fmt: skip
    frames = {
        "rows": as_rows,
        "columns": pl.DataFrame({"task": TASKS, **grid}),
        "long": pl.DataFrame(long),
    }
    found = []
    for name, frame in frames.items():
        frame.write_csv(tmp_path / f"{name}.csv")
        found.append(order(tmp_path / f"{name}.csv"))
        notes = scores(tmp_path / f"{name}.csv")[0].notes
        assert any("although the names may say something else" in n and "mean" in n for n in notes)
    assert sorted(name for name, _ in found[0]) == sorted(grid)
    assert found[0] == found[1] == found[2]
    plain = {m: dict(zip(TASKS, own, strict=True)) for m, own in grid.items()}
    assert order(write(tmp_path / "t.json", plain)) == found[0]


def test_a_method_mean_with_the_mean_of_the_others_is_left_out(tmp_path, right):
    means = [round(statistics.mean(column(t)), 3) for t in TASKS]
    pl.DataFrame({"task": TASKS, **GRID, "mean": means}).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right
    nested_names = {
        m: dict(zip(TASKS, own, strict=True)) for m, own in (GRID | {"mean": means}).items()
    }
    assert order(write(tmp_path / "t.json", nested_names)) == right


def test_a_task_n_is_one_and_a_number_of_slides_is_not(tmp_path, right):
    leaderboard().rename({"crc": "N", "luad": "T", "bach": "M"}).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right
    leaderboard(N=[100, 120, 90], rank=[1.5, 2.0, 2.5]).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right


@pytest.mark.parametrize("name", ["#1", "Win rate", "wins", "# wins", "win_rate (%)"])
def test_how_often_a_model_wins_is_no_study(tmp_path, right, name):
    leaderboard(**{name: [0.1, 0.5, 0.9]}).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right
    notes = scores(tmp_path / "t.csv")[0].notes
    assert any(n.endswith(f"no scores of a study: {name}") for n in notes)


DOWN = ("{} \u2193", "{}\u2193", "{} (lower is better)", "{} [lower better]", "{} MAE \u2193", "{} 1-AUC",
        "{} 1 - AUROC", "1-AUC {}", "{} FPR@95TPR", "{} fpr", "{} FPR@95% TPR", "FPR at 80 TPR {}")  # fmt: skip


@pytest.mark.parametrize("called", DOWN)
def test_names_that_say_less_is_better_are_honoured(tmp_path, right, called):
    leaderboard(called, lambda value: 1 - value).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right
    tasks = pl.DataFrame({"task": [called.format(t) for t in TASKS],
                          **{m: [1 - v for v in own] for m, own in GRID.items()}})  # fmt: skip
    tasks.write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right


@pytest.mark.parametrize(
    "called", ["{} \u2191", "{} (higher is better)", "{} AUROC \u2191", "{}_acc (more is better)"]
)
def test_names_that_say_more_is_better_are_honoured(tmp_path, right, called):
    leaderboard(called).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right


def test_two_better_sides_in_the_names_are_refused(tmp_path):
    leaderboard("{} AUROC \u2193").write_csv(tmp_path / "t.csv")
    with pytest.raises(
        InputError, match="says that less is better, and of the metric 'auroc' that"
    ):
        read_scores([tmp_path / "t.csv"])
    leaderboard().rename({"crc": "crc \u2193", "luad": "luad \u2191"}).drop(
        "bach", "panda"
    ).write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="several metrics"):
        rank([tmp_path / "t.csv"])


@pytest.mark.parametrize(
    "genes", [("PTEN", "MMR", "CDKN2A", "BAP1"), ("pten", "mlh1", "vhl", "nf2")]
)
def test_losses_of_genes_ask_for_the_better_side(tmp_path, right, genes):
    names = {t: f"{gene}_loss" for t, gene in zip(TASKS, genes, strict=True)}
    leaderboard().rename(names).write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="say --higher-is-better or --lower-is-better"):
        rank([tmp_path / "t.csv"])
    assert order(tmp_path / "t.csv", higher_is_better=True) == right
    leaderboard(turn=lambda value: 2 - value).rename(names).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right


def test_a_limit_on_the_wrong_side_is_in_doubt(tmp_path):
    other = {"gi": [0.8, 0.7, 0.6], "upper gi": [0.7, 0.8, 0.5]}
    pl.DataFrame({"model": MODELS, **other}).write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="'upper gi' may be the upper limit of 'gi' or scores of"):
        read_scores([tmp_path / "t.csv"])


def test_intervals_as_words_are_left_out(tmp_path, right):
    words = {f"{t} 95% CI": [f"{v - 0.1:.2f}-{v + 0.1:.2f}" for v in column(t)] for t in TASKS}
    leaderboard("{} AUROC", **words).write_csv(tmp_path / "t.csv")
    assert order(tmp_path / "t.csv") == right


def test_a_spread_without_its_values_is_refused(tmp_path):
    leaderboard("{}_std").write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="'crc_std' is named after a spread, and there is no col"):
        read_scores([tmp_path / "t.csv"])
    nested = {m: {f"{t}_std": 0.1 for t in TASKS} for m in MODELS}
    with pytest.raises(InputError, match="'crc_std' is named after a spread"):
        read_scores([write(tmp_path / "t.json", nested)])


def test_spreads_next_to_models_in_rows_and_in_json(tmp_path, right):
    spread = {f"{m}_std": [0.01, 0.3, 0.02, 0.04] for m in MODELS}
    pl.DataFrame({"task": TASKS, **GRID, **spread}).write_csv(tmp_path / "columns.csv")
    assert order(tmp_path / "columns.csv") == right
    rows = {"task": [n for t in TASKS for n in (t, f"{t}_std")]}
    pl.DataFrame(
        {**rows, **{m: [v for own in GRID[m] for v in (own, 1 - own)] for m in MODELS}}
    ).write_csv(tmp_path / "rows.csv")
    assert order(tmp_path / "rows.csv") == right
    nested = {
        m: dict(zip(TASKS, GRID[m], strict=True)) | {f"{t}_std": 0.1 for t in TASKS} for m in MODELS
    }
    assert order(write(tmp_path / "t.json", nested)) == right


@pytest.mark.parametrize(
    "name", ["Average", "Mean", "Overall", "Avg.", "Mean of all models", "Best", "Median"]
)
def test_a_row_over_all_models_is_no_model(tmp_path, right, name):
    of = {"Best": max, "Median": lambda values: sorted(values)[1]}.get(
        name, lambda v: sum(v) / len(v)
    )
    last = pl.DataFrame({"model": [name], **{t: [of(column(t))] for t in TASKS}})
    pl.concat([leaderboard(), last]).write_csv(tmp_path / "wide.csv")
    board, _ = scores(tmp_path / "wide.csv")
    assert any(note.endswith(f"rows that are no scores of a model: {name}") for note in board.notes)
    assert order(tmp_path / "wide.csv") == right


@pytest.mark.parametrize(
    "name", ["Average AUROC", "mean_dice", "Max", "Worst", "Median score", "Overall (SD)"]
)
def test_a_column_over_all_tasks_is_no_task(tmp_path, right, name):
    of = {"Max": max, "Worst": min, "Median score": statistics.median}.get(name, statistics.mean)
    more = {name: [of(GRID[model]) for model in MODELS], "Avg.": [1 / 7, 2 / 7, 3 / 7]}
    leaderboard(**more).write_csv(tmp_path / "wide.csv")
    assert order(tmp_path / "wide.csv") == right
    assert any(
        "no scores of a study: " in n and name in n for n in scores(tmp_path / "wide.csv")[0].notes
    )


def test_averages_in_long_tables_are_no_studies_and_no_models(tmp_path, right):
    rows = [
        {"study": t, "method": m, "metric": "auroc", "value": GRID[m][j]}
        for m in MODELS
        for j, t in enumerate(TASKS)
    ]
    more = [{"study": "Average", "method": m, "metric": "auroc", "value": 0.5} for m in MODELS]
    more += [{"study": t, "method": "Average", "metric": "auroc", "value": round(statistics.mean(column(t)), 3)}
             for t in TASKS]  # fmt: skip
    pl.DataFrame(rows + more).write_csv(tmp_path / "long.csv")
    assert order(tmp_path / "long.csv") == right
    assert any("no scores of a model: Average" in n for n in scores(tmp_path / "long.csv")[0].notes)


LOSSES = [name for name, metric in METRICS.items() if metric.lower_is_better]
GAINS = [name for name, metric in METRICS.items() if not metric.lower_is_better]


@pytest.mark.parametrize(
    "metric", [*LOSSES, "hd95", "mae", "Hausdorff", "log loss", "error rate", "MSE", "FPR95"]
)
@pytest.mark.parametrize("called", ["{{}}_{}", "{}_{{}}", "{{}} ({})"])
def test_every_loss_in_a_name_ranks_the_lower_first(tmp_path, right, metric, called):
    leaderboard(called.format(metric), lambda value: 100 * (1 - value)).write_csv(
        tmp_path / "w.csv"
    )
    board, _ = scores(tmp_path / "w.csv")
    assert board.notes[0].endswith(
        f"the names say '{board.default_metric}', of which less is better"
    )
    assert order(tmp_path / "w.csv") == right


@pytest.mark.parametrize(
    "metric", [*GAINS, "MulticlassAccuracy", "Dice", "C-Index", "BinaryF1Score"]
)
def test_every_gain_in_a_name_ranks_the_higher_first(tmp_path, right, metric):
    leaderboard("{} " + metric).write_csv(tmp_path / "w.csv")
    board, _ = scores(tmp_path / "w.csv")
    assert board.notes[0].endswith(
        f"the names say '{board.default_metric}', of which more is better"
    )
    assert order(tmp_path / "w.csv") == right


def places(task):
    own = column(task)
    return [1 + sum(other > value for other in own) for value in own]


def test_ranks_are_better_when_lower_and_pass_for_what_is_said_of_scores(tmp_path, right):
    own = {f"{t} rank": places(t) for t in TASKS}
    pl.DataFrame({"model": MODELS, **own}).write_csv(tmp_path / "ranks.csv")
    assert order(tmp_path / "ranks.csv") == right
    leaderboard(**own).write_csv(tmp_path / "both.csv")
    assert order(tmp_path / "both.csv") == right


def test_a_turned_metric_has_no_known_side(tmp_path):
    leaderboard("neg_mse {}").write_csv(tmp_path / "w.csv")
    with pytest.raises(InputError, match="the metric 'neg_mse' is unknown here: say --higher-is-b"):
        rank([tmp_path / "w.csv"])


def test_several_metrics_of_a_task_are_chosen_by_option(tmp_path, right):
    losses = {f"{t}_nll": column(t, lambda value: 1 - value) for t in TASKS}
    others = {f"{t}_acc": column(t, lambda value: 1 - value) for t in TASKS}
    leaderboard("{}_auc", **losses, **others).write_csv(tmp_path / "w.csv")
    with pytest.raises(
        InputError, match=r"several metrics \(auc, nll, acc\): name one with --metric"
    ):
        rank([tmp_path / "w.csv"])
    assert (
        order(tmp_path / "w.csv", metric="auc") == order(tmp_path / "w.csv", metric="nll") == right
    )
    assert order(tmp_path / "w.csv", metric="acc") != right
    leaderboard(**others).write_csv(tmp_path / "w.csv")
    with pytest.raises(InputError, match=r"several metrics \(score, acc\)"):
        rank([tmp_path / "w.csv"])
    pl.DataFrame({"model": MODELS, "auroc": column("crc"), "f1": column("luad")}).write_csv(
        tmp_path / "w.csv"
    )
    with pytest.raises(InputError, match=r"several metrics \(auroc, f1\)"):
        rank([tmp_path / "w.csv"])
    one_each = dict(zip(TASKS, ("crc_auc", "luad kappa", "panda_f1", "bach"), strict=True))
    leaderboard().rename(one_each).write_csv(tmp_path / "w.csv")
    assert order(tmp_path / "w.csv") == right


def test_metrics_in_the_names_of_models_and_in_a_column(tmp_path, right):
    own = {f"{m}_auc": GRID[m] for m in MODELS} | {
        f"{m}_hd95": [20 * v for v in GRID[m]] for m in MODELS
    }
    pl.DataFrame({"task": TASKS, **own}).write_csv(tmp_path / "w.csv")
    assert order(tmp_path / "w.csv", metric="auc") == right
    pl.DataFrame({"task": TASKS, "auc": GRID["uni"], "acc": GRID["uni"]}).write_csv(
        tmp_path / "w.csv"
    )
    with pytest.raises(InputError, match="its columns are metrics"):
        rank([tmp_path / "w.csv"])
    frames = [
        leaderboard().with_columns(metric=pl.lit("auc")),
        leaderboard(turn=lambda v: 1 - v).with_columns(metric=pl.lit("nll")),
    ]
    pl.concat(frames).write_csv(tmp_path / "w.csv")
    assert order(tmp_path / "w.csv", metric="nll") == right


def test_a_leaderboard_with_seeds_is_averaged(tmp_path, right):
    seeds = [
        leaderboard(turn=lambda v, d=d: v + 0.001 * d).with_columns(seed=pl.lit(d))
        for d in (-1, 0, 1)
    ]
    pl.concat(seeds).write_csv(tmp_path / "w.csv")
    assert scores(tmp_path / "w.csv")[0].runs["n"].to_list() == [3] * 12
    assert [name for name, _ in order(tmp_path / "w.csv")] == [name for name, _ in right]


CELLS = ("{} (0.61-0.92)", "{} [0.61, 0.92]", "{}±0.02", "{} +/- 0.02", "**{}**", "$\\mathbf{{{}}} \\pm 0.02$",
         "{}_{{0.02}}", "<b>{}</b>", "{}†", "{} (2)")  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_the_value_of_a_printed_cell_is_read_and_the_rest_is_said(tmp_path, right, cell):
    leaderboard(turn=cell.format).write_csv(tmp_path / "w.csv")
    assert order(tmp_path / "w.csv") == right
    notes = scores(tmp_path / "w.csv")[0].notes
    left_out = any("what stands behind it (in brackets, or with ±) is left out" in n for n in notes)
    assert left_out == any(sign in cell for sign in ("(", "[", "±", "+/-", "pm", "_"))


def test_decimal_commas_with_something_behind(tmp_path, right):
    frame = leaderboard(turn=lambda value: f"{value} (0.01)".replace(".", ","))
    frame.write_csv(tmp_path / "w.csv", separator=";")
    assert order(tmp_path / "w.csv") == right


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("0.61-0.92", "'crc', 'uni': '0.61-0.92' is not understood as one number"),
        ("0.81 / 0.79", "is not understood as one number"),
        ("73,700 (1)", "may stand for thousands or for decimals"),
        ("81%", "seem to mix shares and per cent .*, some with a sign for per cent"),
        ("81", "the values of 'crc' seem to mix shares and per cent"),
    ],
)
def test_cells_in_doubt_are_refused(tmp_path, cell, sentence):
    frame = leaderboard(turn=str)
    crc = pl.Series([cell, *column("crc", str)[1:]])
    frame.with_columns(crc=crc).write_csv(tmp_path / "w.csv")
    with pytest.raises(InputError, match=sentence):
        read_scores([tmp_path / "w.csv"])


def test_a_column_of_ranges_is_not_passed_over(tmp_path):
    leaderboard().with_columns(crc=pl.lit("0.61-0.92")).write_csv(tmp_path / "w.csv")
    with pytest.raises(
        InputError, match=r"column 'crc': '0\.61-0\.92' is not understood as one numb"
    ):
        read_scores([tmp_path / "w.csv"])


def nested(names):
    """Scores by three names in the order given; models m, tasks t, metrics f."""
    content = {}
    for model in MODELS:
        for task, value in zip(TASKS, GRID[model], strict=True):
            a, b, c = ({"m": model, "t": task, "f": "MulticlassF1Score"}[name] for name in names)
            content.setdefault(a, {}).setdefault(b, {})[c] = {"mean": value, "std": 0.01}
    return content


@pytest.mark.parametrize("names", ["mtf", "tmf", "mft", "tfm", "fmt", "ftm"])
def test_levels_of_nested_names_are_told_by_the_names(tmp_path, right, names):
    place = write(tmp_path / "t.json", nested(names))
    assert order(place) == right
    words = ", ".join({"m": "model", "t": "task", "f": "metric"}[name] for name in names)
    assert any(f"are taken as {words}, from the outside" in n for n in scores(place)[0].notes)


def test_levels_that_cannot_be_told_are_asked_for(tmp_path):
    content = {
        a: {b: {"f1": 0.1 * i + 0.01 * j} for j, b in enumerate("xyz")} for i, a in enumerate("abc")
    }
    place = write(tmp_path / "t.json", content)
    with pytest.raises(
        InputError, match=r"whether a, b, \.\.\. or x, y, \.\.\. are the models: say --models-are"
    ):
        rank([place])
    assert order(place, models_are="outer")[0][0] == "c"
    assert order(place, models_are="inner")[0][0] == "z"
    with pytest.raises(InputError, match="--models-are is outer or inner, not 'left'"):
        rank([place], models_are="left")
    leaderboard().write_csv(tmp_path / "w.csv")
    with pytest.raises(InputError, match="applies to JSON with names inside names"):
        rank([tmp_path / "w.csv"], models_are="outer")


@pytest.mark.parametrize("keys", [("model", "task", "value"), ("encoder", "dataset", "score")])
def test_rows_with_a_model_a_task_a_metric_and_a_value(tmp_path, right, keys):
    rows = [{keys[0]: m, keys[1]: t, "metric": "BinaryAccuracy", keys[2]: GRID[m][j]}
            for m in MODELS for j, t in enumerate(TASKS)]  # fmt: skip
    assert order(write(tmp_path / "rows.json", rows)) == right
    pl.DataFrame(rows).write_csv(tmp_path / "rows.csv")
    assert order(tmp_path / "rows.csv") == right
    assert any(f"'{keys[0]}' as method" in note for note in scores(tmp_path / "rows.csv")[0].notes)


BASES = {"{}": "score", "{}_auc": "auc", "{} (AUROC)": "auroc", "{}_mean": "score", "F1 {}": "f1"}


@pytest.mark.parametrize("seed", range(40))
def test_whatever_stands_next_to_scores_the_ranking_is_the_same(tmp_path, right, seed):
    draw = random.Random(seed)
    scale, base = draw.choice((1, 100)), draw.choice(list(BASES))
    cell = draw.choice(("{}", "{} ± 0.02", "{} (0.1-0.9)", "**{}**"))
    kinds = ["{}_std", "{} sd", "{}_n", "{} rank", "{}_ci_low", "{} SEM", "{}_nll", "\u0394{}"]
    about = draw.sample(kinds, 3) + draw.choice(([], ["{}_low", "{}_high"], ["{}_min", "{}_max"]))
    columns = {}
    for task in TASKS:
        own = [round(scale * value, 3) for value in column(task)]
        spread = [draw.uniform(0.001, 0.04) * scale for _ in own]
        kinds = {
            "{}_n": [float(draw.randint(40, 90)) for _ in own],
            "{} rank": [float(place) for place in places(task)],
            **{n: [v - 0.05 * scale for v in own] for n in ("{}_ci_low", "{}_low", "{}_min")},
            **{n: [v + 0.05 * scale for v in own] for n in ("{}_high", "{}_max")},
        }
        columns[base.format(task)] = [*own, statistics.mean(own)]
        for name in about:
            values = kinds.get(name, spread)
            columns[name.format(task)] = [*values, statistics.mean(values)]
    if draw.random() < 0.5:
        columns["Average"] = [*(scale * statistics.mean(GRID[m]) for m in MODELS), scale / 2]
    if draw.random() < 0.3:
        columns |= {"#1": [1.0, 0.0, 3.0, 2.0], "Win rate": [0.3, 0.1, 0.6, 0.33]}
    names = draw.sample(list(columns), len(columns))
    scored = {base.format(task) for task in TASKS}
    frame = pl.DataFrame(
        {
            "model": [*MODELS, "Average"],
            **{
                n: [cell.format(v) for v in columns[n]] if n in scored else columns[n]
                for n in names
            },
        }
    )
    frame.write_csv(tmp_path / "w.csv")
    metric = BASES[base] if "{}_nll" in about else None
    assert order(tmp_path / "w.csv", metric=metric) == right


NAMES = (
    "mean",
    "max",
    "rank",
    "n",
    "median",
    "uni_low",
    "uni_high",
    "resnet_se",
    "total_rna",
    "best",
)
TASK_NAMES = (
    "N",
    "depth",
    "year",
    "low_grade",
    "her2_low",
    "her2",
    "luad_n",
    "glioma_high",
    "ACC",
    "tumor_size",
)


@pytest.mark.parametrize("seed", range(30))
def test_random_leaderboards_with_awkward_names_keep_all_models_and_tasks(tmp_path, seed):
    draw = random.Random(seed)
    scale, digits = draw.choice(((1, 3), (100, 1)))
    models, tasks = draw.sample(NAMES, 5), draw.sample(TASK_NAMES, 5)
    grid = {m: [round(scale * draw.uniform(0.5, 0.95), digits) for _ in tasks] for m in models}
    plain = {f"m{i}": grid[m] for i, m in enumerate(models)}
    pl.DataFrame({"task": [*"abcde"], **plain}).write_csv(tmp_path / "plain.csv")
    expected = sorted((models[int(m[1:])], r) for m, r in order(tmp_path / "plain.csv"))
    pl.DataFrame({"task": tasks, **grid}).write_csv(tmp_path / "columns.csv")
    assert sorted(order(tmp_path / "columns.csv")) == expected
    pl.DataFrame(
        {"model": models, **{t: [grid[m][j] for m in models] for j, t in enumerate(tasks)}}
    ).write_csv(tmp_path / "rows.csv")
    assert sorted(order(tmp_path / "rows.csv")) == expected
