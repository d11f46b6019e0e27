"""Losses and their intervals."""

import numpy as np
import pytest

from pathfuse.workflows.adapting.figures import mean_by_patient
from pathfuse.workflows.adapting.run import adapt


def test_intervals_count_patients():
    """Four copies of each patient's loss say no more than one."""
    values = np.random.default_rng(0).normal(size=50)
    value, one = mean_by_patient(values, np.arange(50))
    again, four = mean_by_patient(np.repeat(values, 4), np.repeat(np.arange(50), 4))
    _, apart = mean_by_patient(np.repeat(values, 4), np.arange(200))
    assert value == pytest.approx(again)
    assert one.high - one.low == pytest.approx(four.high - four.low, rel=0.05)
    assert apart.high - apart.low < 0.7 * (one.high - one.low)
    expected = 2 * 2.01 * values.std(ddof=1) / np.sqrt(50)
    assert one.high - one.low == pytest.approx(expected, rel=0.1)


def test_few_patients_have_no_interval():
    _, interval = mean_by_patient(np.arange(9.0), np.arange(9))
    assert np.isnan(interval.low)


def test_losses_are_those_of_the_predictions(stream, tmp_path):
    found = adapt(stream.folder, tmp_path / "out", stream.experts, stream.samples).stream
    losses = dict(found.nll.select("what", "nll").iter_rows())
    column = {c: f"prob_{c}" for c in ("adipose", "stroma", "tumor")}
    table = found.adapted.join(stream.samples, on="sample_id")
    own = [row[column[row["label"]]] for row in table.iter_rows(named=True)]
    assert losses["adapted"] == pytest.approx(-np.log(own).mean())
    frozen = stream.model.predict(stream.experts).join(stream.samples, on="sample_id")
    own = [row[column[row["label"]]] for row in frozen.iter_rows(named=True)]
    assert losses["frozen fusion"] == pytest.approx(-np.log(own).mean())
    assert losses["adapted minus frozen"] == pytest.approx(
        losses["adapted"] - losses["frozen fusion"]
    )
