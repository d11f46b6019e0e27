"""The order of samples, and when labels came."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.online.stream import NEVER
from pathfuse.study.reading import DEFAULT
from pathfuse.workflows.adapting.incoming import Incoming, Timing, due_of, in_time, read_incoming


@pytest.mark.parametrize(
    "cells",
    [
        ["2026-03-01", "2026-03-02"],
        ["2026-03-01T00:00", "2026-03-02 00:00:00"],
        [dt.date(2026, 3, 1), dt.date(2026, 3, 2)],
        [dt.datetime(2026, 3, 1), dt.datetime(2026, 3, 2)],
    ],
)
def test_dates_are_seconds(cells):
    first, second = in_time(pl.Series("when", cells))
    assert second - first == 86400


def test_numbers_stay_and_words_are_nothing():
    assert in_time(pl.Series(["2", "10.5", None])).to_list() == [2.0, 10.5, None]
    assert in_time(pl.Series([3, 4])).to_list() == [3.0, 4.0]
    assert in_time(pl.Series(["2026-03-01", "spring"]))[1] is None


def test_a_delay_counts_samples_and_what_came_between_calls_is_there_at_once():
    known = np.array([True, True, False, True, True])
    due = due_of(list("abcde"), known, 3, Incoming(), Timing(delay=1))
    assert due.tolist() == [2, 3, NEVER, 5, 6]


def test_labels_with_a_time_are_known_to_samples_after_it():
    ids = list("abcd")
    times = dict(zip(ids, (1.0, 2.0, 3.0, 4.0), strict=True))
    labelled = {"a": 2.0, "b": 2.5, "c": 99.0, "d": 0.0}
    incoming = Incoming(times=times, labelled=labelled)
    timing = Timing(order="day", labelled_at="signed")
    due = due_of(ids, np.ones(4, dtype=bool), 0, incoming, timing)
    # a: known to samples after time 2; c: after all; d: its own label cannot come before itself.
    assert due.tolist() == [2, 2, 4, 4]


def test_the_order_is_that_of_the_table_or_of_a_column(stream):
    shuffled = stream.samples.sample(fraction=1, shuffle=True, seed=1)
    by_row = read_incoming(stream.model, shuffled, Timing(), DEFAULT)
    ids = stream.samples["sample_id"].to_list()
    assert by_row.in_order(sorted(ids)) == shuffled["sample_id"].to_list()
    by_day = read_incoming(stream.model, shuffled, Timing(order="day"), DEFAULT)
    assert by_day.in_order([*sorted(ids), "zzz", "new"]) == [*ids, "new", "zzz"]


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        (Timing(delay=-1), "--delay -1 is negative"),
        (Timing(delay=1, order="day", labelled_at="day"), "give one of them"),
        (Timing(labelled_at="day"), "--labelled-at needs --order"),
    ],
)
def test_what_contradicts_itself(timing, said):
    with pytest.raises(InputError, match=said):
        timing.check()


def test_columns_that_say_no_time(stream):
    with pytest.raises(InputError, match="has no column 'when'"):
        read_incoming(stream.model, stream.samples, Timing(order="when"), DEFAULT)
    words = stream.samples.with_columns(when=pl.lit("soon"))
    with pytest.raises(InputError, match="'soon' is neither a number nor a date"):
        read_incoming(stream.model, words, Timing(order="when"), DEFAULT)
    blank = stream.samples.with_columns(when=pl.when(pl.col("day") > 4).then(pl.col("day")))
    with pytest.raises(InputError, match="an empty cell is neither a number nor a date"):
        read_incoming(stream.model, blank, Timing(order="when"), DEFAULT)
    read_incoming(stream.model, blank, Timing(order="day", labelled_at="when"), DEFAULT)


def test_a_label_that_the_model_does_not_know(stream):
    wrong = stream.samples.with_columns(label=pl.lit("bone"))
    with pytest.raises(InputError, match="'bone' is none of the classes"):
        read_incoming(stream.model, wrong, Timing(), DEFAULT)


def test_a_table_without_any_label_yet(stream):
    blank = stream.samples.with_columns(label=pl.lit(None, dtype=pl.String))
    assert read_incoming(stream.model, blank, Timing(), DEFAULT).observed == {}
