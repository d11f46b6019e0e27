"""A model, and a stream of new samples, for each endpoint."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

import pathfuse

N_FIT, N_NEW, N_EXPERTS = 60, 90, 3


class Stream(NamedTuple):
    model: object
    folder: str
    samples: pl.DataFrame
    """Of the new samples, in their order, with labels."""
    experts: dict[str, pl.DataFrame]
    """Of the new samples."""

    def first(self, n, labels=None):
        """The first samples, of which the first ``labels`` have their label."""
        target = [c for c in self.samples.columns if c not in ("sample_id", "patient_id", "day")]
        known = pl.int_range(pl.len()) < (n if labels is None else labels)
        table = self.samples.head(n).with_columns(
            pl.when(known).then(pl.col(c)).alias(c) for c in target
        )
        there = pl.col("sample_id").is_in(table["sample_id"].implode())
        return table, {name: one.filter(there) for name, one in self.experts.items()}


def _truths(kind, rng, n):
    """Target columns, and what an expert sees without noise."""
    if kind == "multiclass":
        truth = rng.integers(3, size=n)
        columns = {"label": np.array(["adipose", "stroma", "tumor"])[truth]}
        return columns, 2.5 * np.eye(3)[truth], ["logit_adipose", "logit_stroma", "logit_tumor"]
    if kind == "multilabel":
        truth = rng.integers(2, size=(n, 2))
        columns = {"label_KRAS": truth[:, 0], "label_TP53": truth[:, 1]}
        return columns, 3.0 * truth - 1.5, ["logit_KRAS", "logit_TP53"]
    level = rng.normal(size=n)
    dead = (rng.random((n, 3)) < expit(level - 1)[:, None]).argmax(axis=1)
    columns = {"time": 12.0 * dead + 6, "event": rng.integers(2, size=n)}
    return (
        columns,
        np.repeat(level[:, None] - 1, 3, axis=1),
        [f"hazard_logit_{k}" for k in (1, 2, 3)],
    )


def _make(place, kind):
    rng, n = np.random.default_rng(0), N_FIT + N_NEW
    targets, seen, names = _truths(kind, rng, n)
    ids = [f"s{i:03d}" for i in rng.permutation(n)]  # names say nothing of the order
    new = pl.int_range(n, eager=True) >= N_FIT
    experts = {}
    for m in range(N_EXPERTS):
        said = seen + rng.normal(size=seen.shape) * (0.8 + 0.4 * m)
        said[N_FIT + 30 :] *= -1 if m == 0 else 1  # the best expert breaks
        frame = pl.DataFrame({"sample_id": ids, **dict(zip(names, said.T, strict=True))})
        experts[f"expert_{m}"] = frame.filter(pl.Series(rng.random(n) < 0.9)) if m else frame
    table = pl.DataFrame(
        {"sample_id": ids, "patient_id": [f"p{i // 2}" for i in range(n)], **targets}
    )
    roles = table.with_columns(split=pl.Series(np.where(new, "test", "fit")))
    edges = [0.0, 12.0, 24.0, 36.0] if kind == "survival" else None
    study = pathfuse.read_study(roles, experts, time_edges=edges)
    method = "auto" if kind == "multiclass" else "static_product"
    model = pathfuse.fuse(study, method=method, n_resamples=0).model
    model.save(place / "model")
    fresh = table.filter(new).with_columns(day=pl.int_range(N_NEW) * 2)
    kept = fresh["sample_id"].implode()
    own = {name: one.filter(pl.col("sample_id").is_in(kept)) for name, one in experts.items()}
    return Stream(model, place / "model", fresh, own)


@pytest.fixture(scope="session")
def streams(tmp_path_factory):
    """``streams(kind)``: made once."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = _make(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return get


@pytest.fixture
def stream(streams):
    return streams("multiclass")


@pytest.fixture
def content():
    """All files of a folder, byte for byte."""

    def read(folder):
        return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}

    return read
