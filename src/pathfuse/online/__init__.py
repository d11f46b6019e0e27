"""Weights over candidates that follow labels as they come; arrays only."""

from pathfuse.online.bayes import BayesMixture
from pathfuse.online.boa import BOA
from pathfuse.online.fixed_share import FixedShare
from pathfuse.online.label_shift import shift_in, shifted
from pathfuse.online.oracle import best_fixed_mixture, best_sequence, oracle_table
from pathfuse.online.stream import arrivals, follow, late_by, mixed

__all__ = [
    "BOA", "BayesMixture", "FixedShare", "arrivals", "best_fixed_mixture", "best_sequence", "follow",
    "late_by", "mixed", "oracle_table", "shift_in", "shifted",
]  # fmt: skip
