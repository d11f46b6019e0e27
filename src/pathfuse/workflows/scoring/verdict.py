"""What is refused only when all samples were read."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import check_spelling
from pathfuse.scale.parquet_files import ID, batches
from pathfuse.workflows.scoring.block import Rule, Tally

MOST_NAMES = 1_000_000
"""Of samples that lack an expert are compared with one another."""


class Incomplete:
    """The names of samples that lack an expert: one of them may be another, spelled otherwise."""

    def __init__(self, n_experts: int) -> None:
        self.n_experts = n_experts
        self.names: list[str] = []

    def add(self, part: Path) -> None:
        """Those of a part, as long as they are not too many."""
        for frame in batches(part, str(part), [ID, "n_experts"]):
            if len(self.names) >= MOST_NAMES:
                return
            self.names += frame.filter(pl.col("n_experts") < self.n_experts)[ID].to_list()


def check_all(
    tally: Tally, incomplete: Incomplete, names: Sequence[str], rule: Rule, *, whole: bool
) -> None:
    """Refuses samples that were not meant.

    Args:
        tally: What was read.
        incomplete: Samples that lack an expert.
        names: The experts that were given.
        rule: Which samples are fused.
        whole: Whether these are all samples, and not a share.

    Raises:
        InputError: An expert shares no sample with any other, a name has two spellings, or no
            sample is left.
    """
    given = [name for name in names if tally.lacking.get(name, 0) < tally.samples]
    alone = [name for name in (names if whole else given) if name not in tally.together]
    if len(given) > 1 and alone:
        raise InputError(
            f"the expert '{alone[0]}' shares no sample with the others: their sample_id must be "
            "written in one way"
        )
    check_spelling("the predictions", ID, incomplete.names)
    if whole and not tally.fused:
        raise InputError(
            f"--min-experts {rule.min_experts} leaves no sample: none was scored by so many experts"
        )
