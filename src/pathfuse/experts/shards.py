"""A run in shares, for the array jobs of a cluster: each trains some of the parts, the last one to
finish puts the results together.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pathfuse.experts.folds import FoldPart
from pathfuse.experts.parts import Prepared
from pathfuse.files.claims import claimed
from pathfuse.shard import Shard

Part = tuple[Prepared, FoldPart]
"""An expert and one of its parts."""


def parts_of(experts: Sequence[Prepared], shard: Shard | None = None) -> list[Part]:
    """All parts of some experts, or those of a shard; whether they are done makes no difference."""
    parts = [(one, part) for one in experts for part in one.plan.parts]
    return parts if shard is None else shard.among(parts)


def missing(experts: Sequence[Prepared], later: bool = True) -> int:
    """How many parts are not done yet, of whatever shard.

    Args:
        experts: Whose parts.
        later: Count those that come after others, too.
    """
    counted = [(one, part) for one, part in parts_of(experts) if later or not part.after]
    return sum(not one.done(part) for one, part in counted)


@contextmanager
def first_to_assemble(mark: Path, shard: Shard | None) -> Iterator[bool]:
    """Whether this process is to put the results together.

    Of shards that end at the same time one is. A call without a shard always is.

    Args:
        mark: A claim that stands as long as a process does so, in a folder that may go with the
            work that is done.
        shard: That this process runs.
    """
    if shard is None:
        try:
            yield True
        finally:
            mark.unlink(missing_ok=True)  # of a shard that was killed
        return
    with claimed(mark, make_folder=False) as held:
        yield held is not None
