"""Shards divide the parts, and one of them puts the results together."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from pathfuse.errors import InputError
from pathfuse.experts.shards import first_to_assemble, missing, parts_of
from pathfuse.shard import Shard


def expert(n, done=()):
    parts = [SimpleNamespace(name=f"fold_{k}") for k in range(n)]
    return SimpleNamespace(
        plan=SimpleNamespace(parts=parts), done=lambda part: part.name in set(done)
    )


@pytest.mark.parametrize("of", [1, 2, 3, 20])
def test_shards_hold_every_part_once(of):
    experts = [expert(6, done=("fold_1",)), expert(3)]
    every = parts_of(experts)
    assert len(every) == 9
    found = [one for k in range(of) for one in parts_of(experts, Shard(k + 1, of))]
    assert len(found) == 9
    assert all(one in found for one in every)
    assert missing(experts) == 8


def test_a_shard_is_written_as_a_share():
    assert Shard.parse(None) is None
    assert str(Shard.parse("2/4")) == "2/4"
    for text in ("0/4", "5/4", "1", "a/b", "1/", "-1/2", ""):
        with pytest.raises(InputError, match="write I/N with I from 1 to N, such as 1/4"):
            Shard.parse(text)


def test_of_two_shards_that_end_together_one_assembles(tmp_path):
    mark, shard = tmp_path / "mark", Shard(1, 2)
    with first_to_assemble(mark, shard) as one:
        assert one
        with first_to_assemble(mark, Shard(2, 2)) as two:
            assert not two
        assert mark.exists()
    assert not mark.exists()
    mark.touch()  # of a shard that was killed: a call without one goes on
    with first_to_assemble(mark, None) as whole:
        assert whole
    assert not mark.exists()
    with first_to_assemble(tmp_path / "gone" / "mark", shard) as late:
        assert not late
