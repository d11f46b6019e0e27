"""The table of instance metrics comes back as it was written."""

import numpy as np
import polars as pl
import pytest

from pathfuse.dense.evaluation.instance_table import (
    InstanceTable,
    read_instance_table,
    write_instances,
)
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.errors import InputError


def test_round_trip(tmp_path):
    values = {
        name: {metric.name: np.array([0.5, np.nan, shift]) for metric in INSTANCE_METRICS}
        for name, shift in (("a", 0.1), ("b", np.nan))
    }
    scored = {"a": np.array([True, True, True]), "b": np.array([True, True, False])}
    table = InstanceTable(("x", "y", "z"), values, scored)
    write_instances(table, tmp_path / "instances.parquet")
    again = read_instance_table(tmp_path / "instances.parquet")
    assert again.image_ids == table.image_ids
    for name in values:
        np.testing.assert_array_equal(again.scored[name], scored[name])
        for metric in INSTANCE_METRICS:
            np.testing.assert_array_equal(
                again.values[name][metric.name], values[name][metric.name]
            )
    frame = pl.read_parquet(tmp_path / "instances.parquet")
    assert frame.height == 4 * 5
    assert frame["value"].null_count() == 4 * 2  # undefined, but scored


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_instance_table(tmp_path / "none.parquet")
    pl.DataFrame({"sample_id": ["a"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="needs the columns sample_id, expert, metric, value"):
        read_instance_table(tmp_path / "other.parquet")
