"""Sorted files, ranges and the join of experts, against one join in memory."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.scale.merge import blocks
from pathfuse.scale.partitions import partitions_of
from pathfuse.scale.sorted_files import sorted_files_of

COLUMNS = {"uni": ["a"], "conch": ["a"]}


def written(folder, expert, frames, group):
    files = []
    for number, frame in enumerate(frames):
        path = folder / f"{expert}-{number}.parquet"
        frame.write_parquet(path, row_group_size=group)
        files.append(path)
    return files


def joined(folder, files, rows, batch):
    """What the blocks say, as one table, after checks of their order and size."""
    spill = folder / "spill"
    spill.mkdir()
    ordered = [
        one
        for number, (expert, path) in enumerate((e, p) for e, paths in files.items() for p in paths)
        for one in sorted_files_of(expert, path, ["a"], spill, number, batch)
    ]
    parts = []
    for partition in partitions_of(ordered, len(files), rows):
        for block in blocks(partition, COLUMNS, batch):
            assert 1 <= len(block.ids) <= batch
            assert partition.low is None or block.ids[0] >= partition.low
            assert partition.high is None or block.ids[-1] < partition.high
            values = {}
            for name in COLUMNS:
                column = np.full(len(block.ids), np.nan)
                if name in block.experts:
                    one = block.experts[name]
                    assert block.ids[one.position].to_list() == one.frame["sample_id"].to_list()
                    column[one.position] = one.frame["a"].to_numpy()
                values[name] = column
            parts.append(pl.DataFrame({"sample_id": block.ids, **values}))
    return pl.concat(parts)


@st.composite
def tables(draw):
    """Per expert its rows in files of any order, and how they are read."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pool = [f"s{n}" for n in rng.permutation(400)[: draw(st.integers(2, 150))]]
    experts = {}
    for name in COLUMNS:
        own = [i for i in pool if rng.random() < draw(st.sampled_from([0.3, 0.9, 1.0]))] or pool[:1]
        frame = pl.DataFrame({"sample_id": own, "a": rng.normal(size=len(own))})
        if draw(st.booleans()):
            frame = frame.sort("sample_id")
        ends = sorted({0, len(own), *rng.integers(0, len(own) + 1, draw(st.integers(0, 4)))})
        pieces = [frame.slice(a, b - a) for a, b in pairwise(ends)]
        if draw(st.booleans()):
            pieces = [piece.sort("sample_id") for piece in pieces]
        experts[name] = [pieces[k] for k in rng.permutation(len(pieces))]
    return experts, draw(st.integers(1, 40)), draw(st.integers(1, 60)), draw(st.integers(1, 30))


@settings(max_examples=20, deadline=None)
@given(tables())
def test_blocks_are_the_join_in_memory(tmp_path_factory, drawn):
    experts, group, rows, batch = drawn
    folder = tmp_path_factory.mktemp("join")
    files = {name: written(folder, name, frames, group) for name, frames in experts.items()}
    found = joined(folder, files, rows, batch)
    uni, conch = (pl.concat(experts[name]).rename({"a": name}) for name in COLUMNS)
    wanted = uni.join(conch, on="sample_id", how="full", coalesce=True).sort("sample_id")
    assert found.fill_nan(None).equals(wanted)


def test_a_sample_in_two_files_is_named_with_both(tmp_path):
    frames = [pl.DataFrame({"sample_id": [f"s{n:02d}" for n in part], "a": 1.0}) for part in
              (range(10), range(9, 20))]  # fmt: skip
    files = {"uni": written(tmp_path, "uni", frames, 4)}
    with pytest.raises(InputError) as error:
        joined(tmp_path, files, 5, 4)
    assert "'s09' occurs twice" in str(error.value)
    assert "uni-0.parquet and in " in str(error.value)


@pytest.mark.parametrize("order", [["a", "b", "b"], ["b", "a", "b"]], ids=["sorted", "unsorted"])
def test_a_sample_twice_in_one_file_is_named(tmp_path, order):
    files = written(tmp_path, "uni", [pl.DataFrame({"sample_id": order, "a": 1.0})], 2)
    with pytest.raises(InputError, match=r"uni-0\.parquet, column 'sample_id': 'b' occurs twice"):
        sorted_files_of("uni", files[0], ["a"], tmp_path, 0)


@pytest.mark.parametrize("name", ["", None, " ", "NA"])
def test_an_empty_name_is_named_by_its_row(tmp_path, name):
    frame = pl.DataFrame({"sample_id": ["a", "b", name], "a": 1.0})
    files = written(tmp_path, "uni", [frame], 2)
    with pytest.raises(InputError, match="row 3 is empty"):
        sorted_files_of("uni", files[0], ["a"], tmp_path, 0)


def test_whole_numbers_are_names_in_the_order_of_their_text(tmp_path):
    frame = pl.DataFrame({"sample_id": [9, 10, 11], "a": [9.0, 10.0, 11.0]})
    files = {"uni": written(tmp_path, "uni", [frame], 2)}
    assert joined(tmp_path, files, 10, 2)["sample_id"].to_list() == ["10", "11", "9"]
