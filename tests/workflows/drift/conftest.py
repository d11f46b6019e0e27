"""A fused study and new samples of the same kind."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.workflows.model import FusedModel

N_FIT, N_NEW = 120, 150


class Made(NamedTuple):
    model: FusedModel
    new: dict[str, pl.DataFrame]
    labels: pl.DataFrame
    """Of the new samples, in the order in which their predictions stand."""

    def broken(self, name: str = "expert_1", since: int = 75) -> dict[str, pl.DataFrame]:
        """An expert whose rows are mixed up from a sample on: what it says is as likely as before."""
        frame = self.new[name]
        order = np.arange(frame.height)
        order[since:] = np.random.default_rng(0).permutation(order[since:])
        values = frame.drop("sample_id")[order.tolist()]
        mixed = pl.concat([frame.select("sample_id"), values], how="horizontal")
        return {**self.new, name: mixed}


@pytest.fixture(scope="module")
def made(simulate):
    """Experts that agree well, so that a broken one shows."""
    return make(simulate)


def make(simulate, per_patient=1):
    samples, experts = simulate(n_fit=N_FIT * per_patient, n_test=N_NEW * per_patient + 60,
                                per_patient=per_patient, seed=3)  # fmt: skip
    truth = dict(samples.select("sample_id", "label").iter_rows())
    experts = {name: _sharper(frame, truth) for name, frame in experts.items()}
    test = samples.filter(pl.col("split") == "test")
    new_ids = test["sample_id"].to_list()[60:]
    known = samples.filter(~pl.col("sample_id").is_in(new_ids))
    study = pathfuse.read_study(
        known,
        {n: f.filter(~pl.col("sample_id").is_in(new_ids)) for n, f in experts.items()},
    )
    model = pathfuse.fuse(study, method="static_product", n_resamples=0).model
    order = np.random.default_rng(1).permutation(len(new_ids)).tolist()
    if per_patient > 1:
        order = list(range(len(new_ids)))
    ids = pl.DataFrame({"sample_id": [new_ids[n] for n in order]})
    new = {
        name: ids.join(frame, on="sample_id", maintain_order="left")
        for name, frame in experts.items()
    }
    labels = ids.join(test.drop("split"), on="sample_id", maintain_order="left")
    return Made(model, new, labels)


def _sharper(frame, truth):
    columns = [name for name in frame.columns if name.startswith("logit_")]
    right = pl.Series([truth[i] for i in frame["sample_id"]])
    return frame.with_columns(
        (pl.col(name) + 3.0 * (right == name.removeprefix("logit_")).cast(pl.Float64)).alias(name)
        for name in columns
    )
