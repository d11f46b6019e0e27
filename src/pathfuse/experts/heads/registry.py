"""The trained heads by name. A new head is one file and one line here."""

from pathfuse.experts.heads.abmil import GatedAttention
from pathfuse.experts.heads.base import Head
from pathfuse.experts.heads.clam import ClamBranch
from pathfuse.experts.heads.fusecpath import FuseCPathHead
from pathfuse.experts.heads.mean_pool import MeanPool
from pathfuse.experts.heads.meta_encoder import MetaEncoderHead
from pathfuse.experts.heads.tile_mlp import TileMlp
from pathfuse.experts.heads.trans_mil import TransMil
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import Recipe

HEADS: dict[str, type[Head]] = {
    "abmil": GatedAttention, "mean_pool": MeanPool, "clam": ClamBranch, "trans_mil": TransMil, "tile_mlp": TileMlp,
    "meta_encoder": MetaEncoderHead, "fusecpath": FuseCPathHead,
}  # fmt: skip


def make_head(recipe: Recipe, inputs: Inputs, n_outputs: int) -> Head:
    """An untrained head; torch's global generator sets its weights."""
    return HEADS[recipe.head](inputs, n_outputs, recipe)
