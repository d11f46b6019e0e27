"""``experts tune`` on the command line, and what reads its recipe."""

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("h5py")

from pathfuse.testing.cohort import CohortPlan, write_cohort

PLAN = CohortPlan(
    n_patients=24,
    slides_per_patient=(1, 1),
    tiles_per_slide=(3, 4),
    missing_slides=0,
    encoders={"alpha": ("clam", 4)},
)


def test_tuned_and_trained(run_cli, tmp_path):
    cohort = write_cohort(tmp_path / "cohort", PLAN)
    inputs = ("--features", cohort.features["alpha"], "--samples", cohort.labels,
              "--slides", cohort.slides, "--jobs", 1)  # fmt: skip
    quick = ("--set", "epochs=1", "min_epochs=1", "folds=2")
    space = tmp_path / "space.yaml"
    space.write_text("dropout: 0.1:0.5\nlearning_rate: [1.0e-2, 1.0e-3]\n")
    status, out, err = run_cli("experts", "tune", *inputs, "--head", "mean_pool", *quick,
                               "--space-file", space, "--trials", 2, "--out", tmp_path / "t")  # fmt: skip
    assert status == 0, err
    assert f"Recipe: {tmp_path}/t/tuned.yaml" in out
    found = yaml.safe_load((tmp_path / "t/tuned.yaml").read_text())
    assert found["head"] == "mean_pool"
    train = ("experts", "train", *inputs, "--recipe-file", tmp_path / "t/tuned.yaml")
    status, _, err = run_cli(*train, "--set", "folds=2", "--out", tmp_path / "e")
    assert status == 0, err
    status, _, err = run_cli(*train, "--head", "abmil", "--out", tmp_path / "f")
    assert (status, "is a recipe of the head 'mean_pool', not of 'abmil'" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--head", "linear_probe"),
            "chooses its strength itself; say what to search with --space",
        ),
        (("--space", "hiden=1|2"), "'hiden' is unknown; did you mean 'hidden'?"),
        (("--space", "folds=2|3"), "'folds' cannot be searched"),
        (("--space", "hidden=1|2", "--space-file", "x"), "give --space or --space-file, not both"),
        (("--set", "head=clam"), "the head is named by --head"),
    ],
)
def test_sentences(run_cli, tmp_path, arguments, sentence):
    status, _, err = run_cli("experts", "tune", "--features", tmp_path / "x", "--samples",
                             tmp_path / "s.csv", "--out", tmp_path / "t", *arguments)  # fmt: skip
    assert (status, sentence in err) == (2, True), err
