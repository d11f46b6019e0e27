"""Tables of samples and predictions, damaged or edited."""

import pytest

import pathfuse

ENDINGS = ["csv", "tsv", "parquet"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("what", ["samples", "predictions"])
def test_tables(what, ending, simulate, attack, mutators, tmp_path):
    made, place = simulate(12, 6), tmp_path / "study"
    (place / "predictions").mkdir(parents=True)
    tables = {"samples": made.samples, **{f"predictions/{k}": v for k, v in made.experts.items()}}
    for name, table in tables.items():
        file = place / f"{name}.{ending}"
        if ending == "parquet":
            table.write_parquet(file)
        else:
            table.write_csv(file, separator="," if ending == "csv" else "\t")

    def mutate(folder, rng):
        file = folder / f"samples.{ending}"
        if what == "predictions":
            file = rng.choice(sorted((folder / "predictions").iterdir()))
        mutators["csv" if ending == "csv" else ""](file, rng)

    def use(folder):
        study = pathfuse.read_study(folder / f"samples.{ending}", [folder / "predictions"])
        assert isinstance(study.samples.ids.tolist(), list)

    attack.run(place, tmp_path, mutate, use)
