"""Predicting samples that lack experts: what is said, refused and left out (issue 15, item 9)."""

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.cli import main
from pathfuse.errors import InputError

EXPERTS = ("conch", "uni", "virchow2")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A fusion of three experts, saved."""
    rng = np.random.default_rng(0)
    ids = [f"s{i:03d}" for i in range(80)]
    y = np.arange(80) % 2
    split = ["fit"] * 60 + ["test"] * 20
    label = ["tumor" if k else "normal" for k in y]
    samples = pl.DataFrame({"sample_id": ids, "split": split, "label": label})
    study = pathfuse.read_study(samples, {name: predictions(ids, y, rng) for name in EXPERTS})
    folder = tmp_path_factory.mktemp("model") / "result"
    return pathfuse.fuse(study, method="static_product", n_resamples=0).save(folder)


def predictions(ids, y, rng):
    score = 2.0 * np.asarray(y) - 1 + rng.normal(size=len(ids))
    return pl.DataFrame({"sample_id": ids, "logit_normal": -score, "logit_tumor": score})


@pytest.fixture
def new(tmp_path):
    """Ten samples: uni lacks two of them, virchow2 five, of which one is uni's."""
    rng = np.random.default_rng(1)
    ids, y = [f"n{i}" for i in range(10)], np.arange(10) % 2
    kept = {"conch": range(10), "uni": range(2, 10), "virchow2": [0, *range(6, 10)]}
    files = []
    for name, rows in kept.items():
        frame = predictions(ids, y, rng)[list(rows)]
        files.append(tmp_path / f"{name}.csv")
        frame.write_csv(files[-1])
    return files


def run(model, new, out, *more):
    return main(
        [
            "predict",
            "--model",
            str(model),
            "--predictions",
            *map(str, new),
            "--out",
            str(out),
            *more,
        ]
    )


def test_the_terminal_says_how_many_samples_lack_whom(model, new, tmp_path, capsys):
    assert run(model, new, tmp_path / "fused.csv") == 0
    said = capsys.readouterr().out
    assert (
        "6 of 10 samples lack an expert: uni on 2, virchow2 on 5; the fewest that scored a sample: 1 of 3"
        in said
    )
    assert pl.read_csv(tmp_path / "fused.csv")["n_experts"].to_list() == [
        2,
        1,
        2,
        2,
        2,
        2,
        3,
        3,
        3,
        3,
    ]


def test_complete_samples_are_no_news(model, new, tmp_path, capsys):
    rows = pl.read_csv(new[0])["sample_id"]
    for file in new[1:]:
        pl.read_csv(new[0]).filter(pl.col("sample_id").is_in(rows.to_list())).write_csv(file)
    assert run(model, new, tmp_path / "fused.csv") == 0
    assert "lack" not in capsys.readouterr().out


def test_samples_with_too_few_experts_are_left_out_and_counted(model, new, tmp_path, capsys):
    assert run(model, new, tmp_path / "fused.csv", "--min-experts", "2") == 0
    assert (
        "Left out: 1 samples that fewer than 2 experts scored (--min-experts)."
        in capsys.readouterr().out
    )
    frame = pl.read_csv(tmp_path / "fused.csv")
    assert "n1" not in frame["sample_id"].to_list()
    assert frame.height == 9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--require-all",),
            "--require-all: the sample 'n0' was not scored by uni (6 of 10 samples lack an expert)",
        ),
        (("--min-experts", "0"), "--min-experts 0 must be between 1 and 3, the model's experts"),
        (("--min-experts", "4"), "--min-experts 4 must be between 1 and 3, the model's experts"),
    ],
)
def test_what_is_refused(model, new, tmp_path, capsys, options, sentence):
    assert run(model, new, tmp_path / "fused.csv", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "fused.csv").exists()


def test_no_sample_may_be_left(model, new):
    with pytest.raises(
        InputError, match="--min-experts 2 leaves no sample: none was scored by more than 1 experts"
    ):
        pathfuse.load(model).predict(new[:1], min_experts=2)


def test_a_sample_is_predicted_alike_whatever_is_left_out(model, new):
    fusion = pathfuse.load(model)
    everything = fusion.predict(new)
    few = fusion.predict(new, min_experts=3)
    assert few.equals(everything.filter(pl.col("n_experts") == 3))
