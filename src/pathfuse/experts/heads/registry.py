"""The trained heads by name. A new head is one file and one line here."""

from pathfuse.experts.heads.abmil import GatedAttention
from pathfuse.experts.heads.base import Head
from pathfuse.experts.heads.clam import ClamBranch
from pathfuse.experts.heads.mean_pool import MeanPool
from pathfuse.experts.heads.tile_mlp import TileMlp
from pathfuse.experts.heads.trans_mil import TransMil
from pathfuse.experts.recipe import Recipe

HEADS: dict[str, type[Head]] = {
    "abmil": GatedAttention, "mean_pool": MeanPool, "clam": ClamBranch, "trans_mil": TransMil, "tile_mlp": TileMlp
}  # fmt: skip


def make_head(recipe: Recipe, dim: int, n_outputs: int) -> Head:
    """An untrained head; torch's global generator sets its weights."""
    return HEADS[recipe.head](dim, n_outputs, recipe)
