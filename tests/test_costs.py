"""Costs add up, what is not known stays unknown, and a block's peak memory is its own."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pathfuse import costs
from pathfuse.costs import (
    Cost,
    Tally,
    absorb,
    add_flops,
    measured,
    ratios,
    solve_flops,
    tallied,
    total,
)
from pathfuse.errors import InputError

FULL = Cost(2.0, 3.0, 500.0, 40.0, 7, 1e9, 20.0)
SIZE = 64 * 2**20


def fill(n_bytes=SIZE):
    """Memory that is really there, and is given back."""
    return int(np.ones(n_bytes, dtype=np.uint8)[-1])


def test_a_cost_survives_its_dictionary():
    for cost in (FULL, Cost(wall_s=1), Cost(parameters=0)):
        assert Cost.from_dict(cost.as_dict()) == cost
    assert Cost.from_dict({"wall_s": 1, "of_tomorrow": "x"}) == Cost(wall_s=1)
    assert FULL.known
    assert not Cost().known


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "keys"),
        ({}, "keys"),
        ({"wall_s": -1}, "wall_s"),
        ({"wall_s": "3"}, "'3'"),
        ({"wall_s": True}, "True"),
        ({"fit_flops": float("nan")}, "nan"),
        ({"fit_flops": float("inf")}, "inf"),
        ({"parameters": 10**400}, "parameters"),
        ({"parameters": 1.5}, "whole number"),
    ],
)
def test_odd_costs_are_refused(content, said):
    with pytest.raises(InputError, match=said):
        Cost.from_dict(content)


def test_costs_add_up_but_memory_does_not():
    both = total([FULL, Cost(1.0, 1.0, 700.0, 10.0, 0, 1e6, 0.0)])
    assert both == Cost(3.0, 4.0, 700.0, 40.0, 7, 1.001e9, 20.0)
    assert total([FULL]) == FULL


def test_what_is_unknown_of_one_is_unknown_of_all():
    assert total([FULL, replace(FULL, fit_flops=None)]) == Cost(
        4.0, 6.0, 500.0, 40.0, 14, None, 40.0
    )
    assert not total([FULL, Cost()]).known
    assert total([]) == Cost()


def test_ratios():
    found = ratios(FULL, Cost(wall_s=0.5, cpu_s=0.0, parameters=14))
    assert (found["wall_s"], found["parameters"]) == (4.0, 0.5)
    assert found["cpu_s"] is found["fit_flops"] is None


def test_time_is_that_of_the_block():
    with measured() as meter:
        time.sleep(0.05)
    assert 0.05 <= meter.cost.wall_s < 5
    assert meter.cost.cpu_s < 0.04  # sleeping is not a work
    assert (meter.cost.parameters, meter.cost.fit_flops) == (None, None)


@pytest.fixture
def own_peak():
    with measured() as meter:
        pass
    if meter.cost.added_memory_mb is None:
        pytest.skip("the system does not forget a peak")


@pytest.mark.usefixtures("own_peak")
def test_memory_is_that_of_the_block():
    with measured() as large:
        fill()
    with measured() as small:
        pass
    assert large.cost.added_memory_mb > 0.9 * SIZE / 1e6
    assert large.cost.peak_memory_mb > large.cost.added_memory_mb
    assert small.cost.added_memory_mb < 0.5 * SIZE / 1e6  # what was given back before is forgotten


@pytest.mark.usefixtures("own_peak")
def test_a_block_inside_another_hides_no_peak():
    with measured() as before:
        fill()
        with measured() as inside:
            pass
    with measured() as around, measured() as within:
        fill()
    assert before.cost.added_memory_mb > 0.9 * SIZE / 1e6 > 2 * inside.cost.added_memory_mb
    assert around.cost.added_memory_mb >= within.cost.added_memory_mb > 0.9 * SIZE / 1e6


@pytest.mark.parametrize("trouble", ["no reset", "no figures"])
def test_without_the_systems_help_the_peak_is_the_process(trouble, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "write_text" if trouble == "no reset" else "read_text", refuse)
    with measured() as meter:
        pass
    assert meter.cost.added_memory_mb is None
    assert meter.cost.peak_memory_mb > 20
    assert not costs._OPEN


def test_a_failing_block_is_measured_too():
    with pytest.raises(KeyError), measured() as meter:
        raise KeyError
    assert meter.cost.wall_s is not None
    assert not costs._OPEN


def test_a_tally_counts_its_own_block_and_what_it_absorbs():
    with tallied() as outer:
        add_flops(5)
        with tallied() as inner:
            add_flops(np.int64(7))
        assert (outer.flops, inner.flops) == (5, 7)
        absorb(inner)
        absorb(Tally(flops=100, cpu_s=2.0, workers_cpu_s=0.5, process=os.getpid() + 1))
    add_flops(1000)  # nobody counts
    absorb(inner)
    assert outer.flops == 112
    assert outer.workers_cpu_s == 2.5  # the inner block ran here, and is in this process's own time


def test_operations_of_linear_equations():
    assert solve_flops(3, 0) == 18
    assert solve_flops(3, 2) == 18 + 36
