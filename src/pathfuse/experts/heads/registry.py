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

    network: str | None
    """``module:class`` of its ``Head``; None for a linear head, which ``linear_probe.py`` fits."""
    granularities: tuple[str, ...] = ("tile",)
    """What it reads: ``tile`` (bags of tiles), ``slide`` (one vector per sample), or both."""
    note: str = ""
    """What to know before choosing it."""
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
    published: Mapping[str, Any] = field(default_factory=dict)
    """Where its recipe differs from that of gated attention."""

    @property
    def linear(self) -> bool:
        """Whether it is a linear model on the mean of a bag, without epochs, which always scales."""
        return self.network is None


ROOM = "pathfuse.experts.heads"
REFERENCE = "pca_ridge"
"""The head that every fusion of features is held against.

See docs/design/meta-encoder.md, section 5, defect 13.
"""
HEADS: dict[str, HeadFacts] = {
    "abmil": HeadFacts(
        f"{ROOM}.abmil:Abmil", shows_attention=True, recipe=f"{ROOM}.recipes:AbmilRecipe"
    ),
    "mean_pool": HeadFacts(f"{ROOM}.mean_pool:MeanPool"),
    "max_pool": HeadFacts(f"{ROOM}.max_pool:MaxPool"),
    "clam": HeadFacts(
        f"{ROOM}.clam:Clam",
        note="its loss of single tiles acts for classes only",
        shows_attention=True,
        recipe=f"{ROOM}.recipes:ClamRecipe",
        published={"attention": 256, "gate": "tanh"},
    ),
    "clam_mb": HeadFacts(
        f"{ROOM}.clam_mb:ClamMultiBranch",
        note="one attention branch per output",
        shows_attention=True,
        recipe=f"{ROOM}.recipes:ClamRecipe",
        published={"attention": 256, "gate": "tanh"},
    ),
    "dsmil": HeadFacts(f"{ROOM}.dsmil:Dsmil", shows_attention=True),
    "trans_mil": HeadFacts(
        f"{ROOM}.trans_mil:TransMil",
        note="reads tiles in the order of their file",
        shows_attention=True,
        reads_order=True,
        recipe=f"{ROOM}.recipes:TransMilRecipe",
        published={"hidden": 512, "dropout": 0.1, "max_tiles": 4096},
    ),
    "tile_mlp": HeadFacts(
        f"{ROOM}.tile_mlp:TileMlp",
        granularities=("slide",),
        note="one vector per sample",
        published={"hidden": 128, "epochs": 30, "min_epochs": 11, "dropout": 0.0, "batch": 16},
    ),
    "linear_probe": HeadFacts(None, granularities=("tile", "slide"), masks=True),
    "pca_ridge": HeadFacts(
        None,
        granularities=("tile", "slide"),
        masks=True,
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
        published={
            "hidden": 256,
            "gate": "tanh",
            "standardize": True,
            "clip": 5.0,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "epochs": 50,
            "min_epochs": 5,
            "batch": 64,
        },
    ),
    "fusecpath": HeadFacts(
        f"{ROOM}.fusecpath:FuseCPathHead",
        fuses=True,
        has_teachers=True,
        recipe="pathfuse.experts.recipe:FuseCPathRecipe",
        published={
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


def names_of(*, fuses: bool) -> str:
    """The heads that fuse features, or the others, with their notes, for a help text."""
    chosen = {name: facts for name, facts in HEADS.items() if facts.fuses == fuses}
    return ", ".join(
        f"{name} ({facts.note})" if facts.note else name for name, facts in chosen.items()
    )
