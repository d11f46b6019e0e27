"""The contract of the checks: each finds its fault and is silent on sound studies."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.study.study import parse_edges
from pathfuse.workflows.checks.registry import CHECKS

STUDIES = Path(__file__).parents[4] / "shared/data/studies"


def columns_of(frame):
    names = [name for name in frame.columns if name != "sample_id"]
    return names, frame.select(names).to_numpy()


def with_values(frame, values):
    names, _ = columns_of(frame)
    return frame.with_columns(pl.Series(name, values[:, k]) for k, name in enumerate(names))


def changed(made, expert, change):
    """The study with another table of one expert."""
    frame = made.experts[expert]
    table = change(columns_of(frame)[1].copy(), made.samples)
    return made._replace(experts={**made.experts, expert: with_values(frame, table)})


def probabilities(frame):
    names, logits = columns_of(frame)
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return names, prob


def seen(table, samples):
    """Predictions of a model that knows the fit rows by heart."""
    fit = (samples["split"] == "fit").to_numpy()
    if "label" in samples.columns:
        right = 9.0 * np.eye(table.shape[1])[[int(label[1:]) for label in samples["label"]]]
    else:
        right = samples.select("target_a", "target_b").to_numpy()
    return np.where(fit[:, None], right + 0.1 * table, table)


def seen_survival(table, samples):
    fit = (samples["split"] == "fit").to_numpy()
    bins = np.searchsorted([12, 24, 48], samples["time"].to_numpy())
    happened = samples["event"].to_numpy()[:, None] * (bins[:, None] == np.arange(4))
    return np.where(fit[:, None], 5.0 * happened - 3 + 0.1 * table, table)


def swapped(table, _samples):
    return np.concatenate([table[:, [1, 0]], table[:, 2:]], axis=1)


def swapped_in_fold(table, samples):
    there = (samples["fold"] == 2).to_numpy()
    return np.where(there[:, None], table[:, ::-1], table)


def hardly(table, _samples):
    return 0.4 + 1e-5 * table


def mirrored(table, _samples):
    return 2 * table.mean(axis=0) - table


def as_decisions(made, expert):
    names, prob = probabilities(made.experts[expert])
    called = (prob == prob.max(axis=1, keepdims=True)).astype(float)
    return renamed(made, expert, names, called, "prob_")


def renamed(made, expert, names, values, prefix):
    table = {f"{prefix}{name.removeprefix('logit_')}": values[:, k] for k, name in enumerate(names)}
    frame = pl.DataFrame({"sample_id": made.experts[expert]["sample_id"], **table})
    return made._replace(experts={**made.experts, expert: frame})


def no_logits(made, expert):
    names, prob = probabilities(made.experts[expert])
    return renamed(made, expert, names, prob, "logit_")


def with_samples(made, *columns):
    return made._replace(samples=made.samples.with_columns(*columns))


def still(made):
    return changed(made, "uni", lambda table, _: np.repeat(table[:1], len(table), 0))


def flipped(made):
    return with_samples(made, (1 - pl.col("event")).alias("event"))


def copied(made, factor):
    frame = made.experts["uni"]
    other = with_values(frame, factor * columns_of(frame)[1])
    return made._replace(experts={**made.experts, "zz": other})


def few_values(made):
    """Both say one of five things, as nearest neighbours do."""
    rounded = changed(made, "uni", lambda table, _: np.round(np.clip(table, -2, 2)))
    return copied(rounded, 1.0)


def squeezed(made):
    names, prob = probabilities(made.experts["uni"])
    values = np.stack([0.0391 - 0.0004 * prob[:, 1], 0.9609 + 0.0004 * prob[:, 1]], axis=1)
    return renamed(made, "uni", names, values, "prob_")


def repeated(made, column):
    """Four slides of each case, whose truth is that of the case, in one role each."""
    n = made.samples.height
    case = np.arange(n) // 4
    samples = made.samples.with_columns(label=pl.Series([f"c{k % 2}" for k in case * 7 // 3]))
    ids = made.samples["sample_id"].to_list()
    if column is not None:
        return made._replace(
            samples=samples.with_columns(pl.Series(column, [f"x{k}" for k in case]))
        )
    new = {old: f"B{k:03d}-{j % 4 + 1}" for j, (old, k) in enumerate(zip(ids, case, strict=True))}
    rename = pl.col("sample_id").replace_strict(new)
    experts = {name: frame.with_columns(rename) for name, frame in made.experts.items()}
    return made._replace(samples=samples.with_columns(rename), experts=experts)


def twin_rows(made):
    """Ten judged samples have the predictions of the fit samples before them."""
    experts = {
        name: with_values(frame, np.concatenate([np.repeat(table[:20:2], 2, axis=0), table[20:]]))
        for name, frame in made.experts.items()
        for _, table in [columns_of(frame)]
    }
    return made._replace(experts=experts)


def marked(made):
    frame = made.experts["uni"].with_columns(pl.Series("seen_in_fit", [True] * made.samples.height))
    return made._replace(experts={**made.experts, "uni": frame})


def tcga(made):
    """Two slides of each TCGA case, in one role."""
    ids = made.samples["sample_id"].to_list()
    new = {
        old: f"TCGA-ZX-{1000 + j // 2}-01Z-00-DX{j % 2 + 1}"
        for j, old in enumerate([*ids[::2], *ids[1::2]])
    }
    rename = pl.col("sample_id").replace_strict(new)
    experts = {name: frame.with_columns(rename) for name, frame in made.experts.items()}
    return made._replace(samples=made.samples.with_columns(rename), experts=experts)


def misspelt(made):
    labels = made.samples["label"].str.replace("c", "class_").to_list()
    labels[0] = labels[0].replace("class", "clas")
    experts = {
        name: frame.rename({f"logit_c{k}": f"logit_class_{k}" for k in range(3)})
        for name, frame in made.experts.items()
    }
    return made._replace(
        samples=made.samples.with_columns(label=pl.Series(labels)), experts=experts
    )


def placeholder(made):
    labels = ["unknown" if n < 12 else label for n, label in enumerate(made.samples["label"])]
    experts = {
        name: frame.with_columns(pl.lit(-1.0).alias("logit_unknown") + 0.001 * pl.col("logit_c0"))
        for name, frame in made.experts.items()
    }
    return made._replace(
        samples=made.samples.with_columns(label=pl.Series(labels)), experts=experts
    )


PLANTED = {
    "seen": ("better on fit", "two classes", lambda m: changed(m, "uni", seen), "uni (NLL 0.000"),
    "seen by risk": ("better on fit", "survival", lambda m: changed(m, "uni", seen_survival), "uni (C-index"),
    "seen numbers": ("better on fit", "numbers", lambda m: changed(m, "uni", seen), "uni (Pearson r"),
    "swapped": ("wrong way round", "two classes", lambda m: changed(m, "virchow2", swapped), "AUROC 0."),
    "mirrored risk": ("wrong way round", "survival", lambda m: changed(m, "uni", mirrored), "C-index 0."),
    "mirrored numbers": ("wrong way round", "numbers", lambda m: changed(m, "uni", mirrored), "Pearson r -0."),
    "swapped of three": ("swapped columns", "classes", lambda m: changed(m, "uni", swapped), "by the column of 'c1'"),
    "swapped labels": ("swapped columns", "labels", lambda m: changed(m, "uni", swapped), "by the column of 'a'"),
    "swapped targets": ("swapped columns", "numbers", lambda m: changed(m, "uni", swapped), "r 0."),
    "copied, few values": ("copied", "classes", few_values, "zz is a copy of uni: the same predictions"),
    "constant": ("constant", "classes", still, "240 of its 240"),
    "constant numbers": ("constant", "numbers", still, "240 of"),
    "almost constant": ("constant", "two classes", lambda m: changed(m, "uni", hardly), "but for noise"),
    "almost constant numbers": ("constant", "numbers", lambda m: changed(m, "uni", hardly), "target's spread"),
    "thousands": ("another unit", "numbers", lambda m: changed(m, "uni", lambda t, _: 1e3 * t), "times as much as"),
    "hundredths": ("another unit", "numbers", lambda m: changed(m, "uni", lambda t, _: t / 100), "times as much as"),
    "shifted unit": ("another unit", "numbers", lambda m: changed(m, "uni", lambda t, _: 32 + t), "deviations away"),
    "swapped in a fold": ("wrong way round", "folds", lambda m: changed(m, "uni", swapped_in_fold), "in fold 2: AUROC"),
    "squeezed": ("squeezed", "two classes", squeezed, "lie between 0.9609 and 0.9613"),
    "squeezed risk": ("squeezed", "survival", lambda m: changed(m, "uni", lambda t, _: t / 100), "C-index 0."),
    "no logits": ("no logits", "classes", lambda m: no_logits(m, "uni"), "sum to 1 in all 240 rows"),
    "decisions": ("decisions", "classes", lambda m: as_decisions(m, "uni"), "decisions"),
    "copied": ("copied", "classes", lambda m: copied(m, 1.0), "zz is a copy of uni: the same predictions"),
    "copied colder": ("copied", "classes", lambda m: copied(m, 1.7), "1.7 times"),
    "copied risk": ("copied", "survival", lambda m: copied(m, 0.5), "0.5 times"),
    "copied numbers": ("copied", "numbers", lambda m: copied(m, 0.5), "0.5 times"),
    "a column of cases": ("repeated cases", "two classes", lambda m: repeated(m, "block"), "'block' repeats"),
    "names of cases": ("repeated cases", "two classes", lambda m: repeated(m, None), "the start of the names repeats"),
    "barcodes": ("repeated cases", "two classes", tcga, "TCGA-ZX-1000"),
    "same rows": ("same rows", "classes", twin_rows, "10 judged samples have exactly the predictions"),
    "seen in fit": ("seen in fit", "classes", marked, "120 of the 120 judged samples"),
    "days": ("edges", "survival", lambda m: with_samples(m, pl.col("time") * 30.44), "days to months"),
    "years": ("edges", "survival", lambda m: with_samples(m, pl.col("time") / 12), "before the first edge"),
    "flipped": ("events", "survival", flipped, "censored cases exchanged"),
    "misspelt": ("classes", "classes", misspelt, "is it a misspelling?"),
    "placeholder": ("classes", "classes", placeholder, "'unknown' (12 samples) is taken as a class"),
}  # fmt: skip
"""Check, sound study, what is done to it, and what the sentence says."""


def alarms(made):
    study = pathfuse.read_study(made.samples, made.experts, time_edges=made.edges)
    return pathfuse.check(study).alarms


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_no_other(sound, name):
    check, kind, plant, words = PLANTED[name]
    found = alarms(plant(sound[kind]))
    assert check in [alarm.check for alarm in found], found
    assert words in " ".join(alarm.sentence for alarm in found if alarm.check == check)


@pytest.mark.parametrize(
    "kind", ["two classes", "classes", "labels", "survival", "numbers", "folds"]
)
def test_a_sound_study_raises_no_alarm(sound, kind):
    assert alarms(sound[kind]) == ()


def test_every_check_is_planted_and_says_what_it_is():
    assert {check.name for check in CHECKS} == {check for check, *_ in PLANTED.values()}
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.looks_for
        assert check.threshold
        assert check.way_forward


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_is_explained(check):
    page = (Path(__file__).parents[3] / "docs/howto/check.md").read_text(encoding="utf-8")
    assert f"| {check.name} | {check.looks_for} | {check.threshold} | {check.way_forward} |" in page


@pytest.mark.slow
@pytest.mark.skipif(not STUDIES.exists(), reason="../shared is absent")
def test_the_development_studies_raise_no_alarm():
    found = {}
    for folder in sorted(path for path in STUDIES.iterdir() if path.is_dir()):
        maps = {p.stem.removeprefix("label_map_"): p for p in folder.glob("label_map_*.csv")}
        edges = folder / "time_edges.txt"
        study = pathfuse.read_study(
            folder / "samples.csv",
            folder / "predictions",
            maps,
            time_edges=parse_edges(edges.read_text().strip(), "edges") if edges.exists() else None,
        )
        found[folder.name] = [alarm.sentence for alarm in pathfuse.check(study).alarms]
    assert {name: said for name, said in found.items() if said} == {}


def with_column(made, name, cells):
    frame = made.experts["uni"].with_columns(pl.Series(name, cells))
    return made._replace(experts={**made.experts, "uni": frame})


def other_truth(made):
    labels = made.samples["label"].to_list()
    return with_column(made, "label", [*labels[1:], labels[0]])


def other_events(made):
    return with_column(made, "event", 1 - made.samples["event"])


def unmatched(made):
    """Every expert spells most of the judged samples in another way."""
    rename = pl.when(made.samples["split"] == "test").then("x" + pl.col("sample_id"))
    experts = {
        name: frame.with_columns(
            sample_id=pl.when(pl.int_range(pl.len()) < 200)
            .then(rename.otherwise("sample_id"))
            .otherwise("sample_id")
        )
        for name, frame in made.experts.items()
    }
    return made._replace(experts=experts)


def without_truth(made):
    gone = (pl.col("split") == "test") & (pl.int_range(pl.len()) < 200)
    label = pl.when(gone).then(None).otherwise("label")
    return with_samples(made, label.alias("label"))


PLANTED |= {
    "other truth": ("other truth", "classes", other_truth, "(sample 's000': "),
    "other events": ("other truth", "survival", other_events, "column 'event' of the samples in 300 of 300 rows"),
    "unmatched": ("lost rows", "classes", unmatched, "take no part: no expert scored 100"),
    "without truth": ("lost rows", "classes", without_truth, "100 of the 120 judged rows of samples take no part"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["other truth", "other events", "unmatched", "without truth"])
def test_truth_and_rows_that_are_lost(sound, name):
    test_a_planted_fault_is_found_and_no_other(sound, name)


def test_a_truth_in_another_spelling_is_no_other_truth(sound):
    made = sound["classes"]
    labels = made.samples["label"].to_list()
    assert alarms(with_column(made, "label", [label.upper() for label in labels])) == ()
    assert alarms(with_column(made, "y_true", [int(label[1:]) for label in labels])) == ()
    partly = [label if n % 2 else None for n, label in enumerate(labels)]
    assert alarms(with_column(made, "ground_truth", partly)) == ()
    made = sound["survival"]
    days = with_column(made, "time", (made.samples["time"] * 30.44).round(0))
    censorship = with_column(days, "censorship", 1 - made.samples["event"])
    assert alarms(censorship) == ()
    assert alarms(with_column(made, "time", made.samples["time"].round(0))) == ()
    assert (
        "contradicts"
        in alarms(with_column(made, "time", made.samples["time"].reverse()))[0].sentence
    )
    (alarm,) = alarms(with_column(made, "censorship", made.samples["event"]))
    assert "column 'censorship' of its table contradicts the column 'event'" in alarm.sentence
    made = sound["numbers"]
    assert alarms(with_column(made, "target_a", made.samples["target_a"].round(3))) == ()
    assert len(alarms(with_column(made, "target_a", made.samples["target_b"]))) == 1


def test_few_positives_prove_nothing():
    """A bootstrap of three positives is far too sure of their AUROC."""
    rng = np.random.default_rng(5)
    for _ in range(25):
        label = np.r_[np.ones(6, int), np.zeros(194, int)]
        ids = [f"s{k:03d}" for k in range(200)]
        split = ["fit", "test"] * 100
        samples = pl.DataFrame(
            {"sample_id": ids, "split": split, "label": [f"c{k}" for k in label]}
        )
        logit = rng.normal(size=200) + 0.5 * label - 3
        table = {"sample_id": ids, "logit_c0": np.zeros(200), "logit_c1": logit}
        study = pathfuse.read_study(samples, {"uni": pl.DataFrame(table)})
        assert pathfuse.check(study).alarms == ()


def test_few_positives_are_enough_where_the_rank_is_clear(sound):
    """6 of 120: an AUROC of .01 is 4 standard errors of chance below it."""
    made = sound["two classes"]
    label = np.where(np.arange(240) < 12, "c1", "c0")
    logit = np.where(np.arange(240) < 12, -3.0, 3.0) + np.random.default_rng(0).normal(size=240)
    table = {"sample_id": made.samples["sample_id"], "logit_c0": 0.0 * logit, "logit_c1": logit}
    made = with_samples(made, pl.Series("label", label))
    made = made._replace(experts={"uni": pl.DataFrame(table)})
    assert "uni ranks the wrong way round: AUROC 0.00" in said(made)


def test_folds_that_only_the_predictions_know_are_looked_into(sound, tmp_path):
    """CLAM's files: one fold of one expert has its columns exchanged."""
    made, rows = sound["folds"], sound["folds"].samples
    label = [int(name[1:]) for name in rows["label"]]
    for name, frame in made.experts.items():
        prob = probabilities(frame)[1]
        for k in range(4):
            there = (rows["fold"] == k).to_numpy()
            own = prob[there, ::-1] if (name, k) == ("uni", 2) else prob[there]
            place = tmp_path / f"EVAL_{name}"
            place.mkdir(exist_ok=True)
            pl.DataFrame(
                {
                    "slide_id": rows["sample_id"].filter(pl.Series(there)),
                    "Y": pl.Series(label).filter(pl.Series(there)).cast(pl.Float64),
                    "Y_hat": own.argmax(axis=1).astype(float),
                    "p_0": own[:, 0],
                    "p_1": own[:, 1],
                }
            ).write_csv(place / f"fold_{k}.csv")
    study = pathfuse.read_study(rows.drop("fold"), [tmp_path])
    assert "in fold 2: AUROC 0." in " ".join(a.sentence for a in pathfuse.check(study).alarms)
    found = pathfuse.evaluate(study, n_resamples=0)
    assert "in fold 2: AUROC 0." in " ".join(found.manifest["warnings"])


def said(made):
    return " ".join(alarm.sentence for alarm in alarms(made))


def test_an_expert_that_is_turned_round_is_no_copy(sound):
    words = said(copied(sound["classes"], -1.0))
    assert "uni and zz are mirrored: logits are turned round against those of the other (" in words
    assert "copy" not in words
    assert "zz is a copy of uni: its logits are the same but for a constant" in said(
        copied(sound["classes"], 1.0004)
    )


def test_an_interval_of_auroc_stays_between_0_and_1(sound):
    def turned(table, samples):
        right = np.eye(2)[[int(label[1:]) for label in samples["label"]]]
        right = np.where(np.arange(len(table))[:, None] < 3, 1 - right, right)
        return 0.01 * table - 3 * right

    words = said(changed(sound["two classes"], "uni", turned))
    assert "interval 0.000 to" in words


@pytest.mark.parametrize(
    ("factor", "edges", "unit"),
    [
        (30.44, (12, 24, 48), "days to months"),
        (1 / 12, (12, 24, 48), "years to months"),
        (1, (1, 2, 4), "months to years"),
        (1, (365, 730, 1460), "months to days"),
    ],
)
def test_the_unit_that_fits_best_is_named_first(sound, factor, edges, unit):
    made = sound["survival"]._replace(edges=(0.0, *map(float, edges), np.inf))
    assert f"Taken from {unit}" in said(with_samples(made, pl.col("time") * factor))
