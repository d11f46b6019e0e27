"""The heads by name, with what there is to know of each. A new head is its file and one entry here.

Recipes and tables are read without torch, so an entry names the class of the network and loads it
when a head is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class HeadFacts:
    """What there is to know of a head."""

    network: str | None = None
    """``module:class`` of its ``Head``."""
    model: str | None = None
    """``module:class`` of its ``PooledModel``, for a head without a network and without epochs."""
    granularities: tuple[str, ...] = ("tile",)
    """What it reads: ``tile`` (bags of tiles), ``slide`` (one vector per sample), or both."""
    note: str = ""
    """What to know before choosing it."""
    default: bool = False
    """Whether ``heads: auto`` of ``study.yaml`` trains it where it fits what an encoder gives."""
    fuses: bool = False
    """Whether it joins the features of several encoders; it is then held against ``REFERENCE``."""
    masks: bool = False
    """Whether it deals itself with NaN where an encoder lacks a tile."""
    shows_attention: bool = False
    """Whether it gives the attention of every tile of a slide."""
    reads_order: bool = False
    """Whether the order of a bag's tiles in their file counts, as a stand-in for their places."""
    has_teachers: bool = False
    """Whether slide-level embeddings can teach it."""
    recipe: str = "pathfuse.experts.recipe:TrainingRecipe"
    """``module:class`` of its recipe."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Where its recipe differs from that of gated attention."""
    published: Mapping[str, Any] = field(default_factory=dict)
    """Where its published recipe differs from that of gated attention besides."""

    @property
    def pooled(self) -> bool:
        """Whether it is a model of scikit-learn on statistics of a bag, which are always scaled."""
        return self.network is None


ROOM, MODELS = "pathfuse.experts.heads", "pathfuse.experts.pooled"
REFERENCE = "pca_ridge"
"""The head that every fusion of features is held against.

See docs/design/meta-encoder.md, section 5, defect 13.
"""
HEADS: dict[str, HeadFacts] = {
    "abmil": HeadFacts(
        f"{ROOM}.abmil:Abmil",
        default=True,
        shows_attention=True,
        recipe=f"{ROOM}.recipes:AbmilRecipe",
    ),
    "mean_pool": HeadFacts(f"{ROOM}.mean_pool:MeanPool"),
    "max_pool": HeadFacts(f"{ROOM}.max_pool:MaxPool"),
    "clam": HeadFacts(
        f"{ROOM}.clam:ClamSingleBranch",
        note="its loss of single tiles acts for classes only",
        shows_attention=True,
        recipe=f"{ROOM}.recipes:ClamRecipe",
        own={"attention": 256, "gate": "tanh"},
    ),
    "clam_mb": HeadFacts(
        f"{ROOM}.clam_mb:ClamMultiBranch",
        note="one attention branch per output",
        shows_attention=True,
        recipe=f"{ROOM}.recipes:ClamRecipe",
        own={"attention": 256, "gate": "tanh"},
    ),
    "dsmil": HeadFacts(f"{ROOM}.dsmil:Dsmil", shows_attention=True),
    "trans_mil": HeadFacts(
        f"{ROOM}.trans_mil:TransMil",
        note="reads tiles in the order of their file",
        shows_attention=True,
        reads_order=True,
        recipe=f"{ROOM}.recipes:TransMilRecipe",
        own={"hidden": 512, "dropout": 0.1, "max_tiles": 4096, "networks": 1},  # by far the dearest
    ),
    "tile_mlp": HeadFacts(
        f"{ROOM}.tile_mlp:TileMlp",
        granularities=("slide",),
        note="one vector per sample",
        default=True,
        own={"hidden": 128, "dropout": 0.0},
        published={"epochs": 30, "min_epochs": 11},
    ),
    "pooled_linear": HeadFacts(
        model=f"{MODELS}.linear:PooledLinear",
        granularities=("tile", "slide"),
        default=True,
        masks=True,
    ),
    "pooled_kernel": HeadFacts(
        model=f"{MODELS}.kernel:PooledKernel",
        granularities=("tile", "slide"),
        default=True,
        masks=True,
    ),
    "pooled_forest": HeadFacts(
        model=f"{MODELS}.forest:PooledForest",
        granularities=("tile", "slide"),
        default=True,
        masks=True,
        recipe="pathfuse.experts.recipe:ForestRecipe",
    ),
    "linear_probe": HeadFacts(
        model=f"{MODELS}.linear:LinearProbe",
        granularities=("tile", "slide"),
        masks=True,
        published={"clip": None},
    ),
    "pca_ridge": HeadFacts(
        model=f"{MODELS}.linear:PcaRidge",
        granularities=("tile", "slide"),
        masks=True,
        published={"clip": None},
        recipe="pathfuse.experts.recipe:PcaRidgeRecipe",
    ),
    # Meta-Encoder and FuseCPath depart from their papers' optimisation (a few Adam or SGD steps
    # without scaling) on purpose: docs/design/meta-encoder.md, section 5, defects 8 and 13.
    "meta_encoder": HeadFacts(
        f"{ROOM}.meta_encoder:MetaEncoderHead",
        granularities=("tile", "slide"),
        fuses=True,
        masks=True,
        shows_attention=True,
        recipe="pathfuse.experts.recipe:MetaEncoderRecipe",
        own={
            "hidden": 256,
            "gate": "tanh",
            "standardize": True,
            "clip": 5.0,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "epochs": 50,
            "min_epochs": 0,
            "batch": 64,
            "linear_path": True,
        },
        published={"min_epochs": 5, "linear_path": False},
    ),
    "fusecpath": HeadFacts(
        f"{ROOM}.fusecpath:FuseCPathHead",
        fuses=True,
        has_teachers=True,
        recipe="pathfuse.experts.recipe:FuseCPathRecipe",
        own={
            "hidden": 512,
            "gate": "tanh",
            "standardize": True,
            "clip": 5.0,
            "schedule": "cosine",
            "epochs": 60,
            "several": "mean",
            "batch": 8,
        },
    ),
}


def load(place: str) -> Any:
    """The class that ``module:class`` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def default_heads(granularity: str | None = None) -> list[str]:
    """The heads that ``heads: auto`` means.

    Args:
        granularity: What an encoder gives, ``tile`` or ``slide``; None: either.
    """
    return [
        name
        for name, facts in HEADS.items()
        if facts.default and granularity in (None, *facts.granularities)
    ]


def names_of(*, fuses: bool) -> str:
    """The heads that fuse features, or the others, with their notes, for a help text."""
    chosen = {name: facts for name, facts in HEADS.items() if facts.fuses == fuses}
    return ", ".join(
        f"{name} ({facts.note})" if facts.note else name for name, facts in chosen.items()
    )
