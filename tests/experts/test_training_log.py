"""Logs of a training: CSV, and TensorBoard where it is installed."""

import csv
import math

import pytest

from pathfuse.errors import InputError
from pathfuse.experts.training_log import check_log_dir, logged

LINES = [
    {"network": 1, "epoch": 1, "train_loss": 1.5, "validation_loss": math.nan, "rate": 0.1},
    {"network": 1, "epoch": 2, "train_loss": 0.5, "validation_loss": 0.75, "rate": 0.1},
]


def rows(file):
    with file.open() as given:
        return list(csv.reader(given))


def test_csv(tmp_path):
    """A part that begins anew overwrites, one that goes on adds."""
    seen = []
    for _ in range(2):
        with logged(tmp_path, "uni", "fold_0", seen.append) as log:
            log(LINES[0])
        with logged(tmp_path, "uni", "fold_0", None) as log:
            log(LINES[1])
    head = ["network", "epoch", "train_loss", "validation_loss", "rate"]
    assert rows(tmp_path / "uni/fold_0.csv") == [
        head,
        ["1", "1", "1.5", "", "0.1"],
        ["1", "2", "0.5", "0.75", "0.1"],
    ]
    second = {**LINES[0], "network": 2}
    with logged(tmp_path, "uni", "fold_0", None) as log:
        log(second)
    assert rows(tmp_path / "uni/fold_0.csv")[-1] == ["2", "1", "1.5", "", "0.1"]
    assert seen == LINES[:1] * 2
    with logged(None, "uni", "fold_0", seen.append) as log:
        assert log == seen.append


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with logged(tmp_path, "uni", "fold_0", None) as log:
        for line in LINES:
            log(line)
    events = EventAccumulator(str(tmp_path / "uni" / "fold_0")).Reload()
    assert [(one.step, one.value) for one in events.Scalars("train_loss")] == [(1, 1.5), (2, 0.5)]
    assert [(one.step, one.value) for one in events.Scalars("validation_loss")] == [(2, 0.75)]


def test_where_logs_may_lie(tmp_path):
    assert check_log_dir(None, tmp_path) is None
    assert check_log_dir(tmp_path / "logs", tmp_path / "out") == tmp_path / "logs"
    with pytest.raises(InputError, match="would lie in the output"):
        check_log_dir(tmp_path / "out" / "logs", tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        check_log_dir(tmp_path / "file" / "logs", tmp_path / "out")
