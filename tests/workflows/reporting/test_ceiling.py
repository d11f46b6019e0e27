"""What choosing could reach, and how often outcomes occur, against the tables they come from."""

import numpy as np
import polars as pl
import pytest

import pathfuse


def labels(n=60, missing=0):
    """Two labels that two experts know differently well; one expert lacks some judged rows."""
    rng = np.random.default_rng(0)
    ids = [f"s{i:02d}" for i in range(n)]
    truth = {name: rng.integers(2, size=n) for name in ("A", "B")}
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "patient_id": [f"p{i // 2:02d}" for i in range(n)],
            "split": ["fit"] * (n // 2) + ["test"] * (n // 2),
            **{f"label_{name}": own for name, own in truth.items()},
        }
    )
    skill = {"one": {"A": 3.0, "B": 0.2}, "two": {"A": 0.2, "B": 3.0}}
    experts = {
        expert: pl.DataFrame(
            {"sample_id": ids}
            | {
                f"logit_{name}": own[name] * (2 * truth[name] - 1) + rng.normal(size=n)
                for name in truth
            }
        )
        for expert, own in skill.items()
    }
    experts["one"] = experts["one"].head(n - missing)
    return pathfuse.read_study(samples, experts)


def hindsight(result, metric):
    return next(one for one in result.manifest["ceiling"]["hindsight"] if one["metric"] == metric)


@pytest.mark.parametrize("metric", ["nll", "auroc"])
def test_each_label_has_its_best_expert(metric):
    result = pathfuse.evaluate(labels(), n_resamples=0)
    found = hindsight(result, metric)
    table = result.metrics.filter(metric=metric)
    values = [
        table.filter(method=expert, output=output)["value"][0]
        for expert, output in (("one", "A"), ("two", "B"))
    ]
    assert found["experts"] == ["one", "two"]
    assert found["value"] == pytest.approx(np.mean(values))


def test_an_expert_that_lacks_rows_is_not_compared_with_those_that_have_them():
    found = hindsight(pathfuse.evaluate(labels(missing=4), n_resamples=0), "auroc")
    assert found["experts"] == ["two"]


def test_outcomes_are_those_of_the_judged_rows():
    study = labels()
    judged = study.samples.frame.filter(split="test")
    found = pathfuse.evaluate(study, n_resamples=0).manifest["outcomes_judged"]
    assert found["A"] == {
        "0": judged.filter(label_A="0").height,
        "1": judged.filter(label_A="1").height,
    }
