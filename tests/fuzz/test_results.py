"""Results that are read again, damaged or edited: rankings, streams of ``adapt``."""

import pytest

import pathfuse
from pathfuse.workflows.ranking.rank import rank

SMALL = {"n_resamples": 20}


@pytest.fixture(scope="module")
def results(tmp_path_factory, small_study, quick_inner_folds):
    place = tmp_path_factory.mktemp("results") / "all"
    for n in (90, 180, 270):
        result = pathfuse.fuse(small_study("multiclass", n), method="static_product", **SMALL)
        result.save(place / f"study{n}")
    return place


@pytest.mark.slow
def test_rankings(results, attack, mutators, tmp_path):
    def mutate(folder, rng):
        names = ["manifest.json", "manifest.json", "metrics.csv", "certificate.json"]
        file = rng.choice(sorted(folder.iterdir())) / rng.choice(names)
        mutators[file.suffix[1:]](file, rng)

    attack.run(results, tmp_path, mutate, lambda folder: rank([folder]))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "json"])
def test_rankings_of_tables(ending, attack, mutators, tmp_path):
    file = tmp_path / f"scores.{ending}"
    if ending == "csv":
        rows = [f"s{s},m{m},auroc,{0.5 + 0.03 * m + 0.01 * s}" for s in range(4) for m in range(3)]
        file.write_text("study,method,metric,value\n" + "\n".join(rows) + "\n")
    else:
        studies = (f'"s{s}": {{"m0": 0.{s}1, "m1": 0.{s}2, "m2": 0.{s}3}}' for s in range(4))
        file.write_text("{" + ", ".join(studies) + "}")
    attack.run(
        file, tmp_path, mutators[ending],
        lambda copied: rank([copied], models_are="inner" if ending == "json" else None),
    )  # fmt: skip
