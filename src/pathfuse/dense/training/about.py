"""``model.json``: what a folder says of its trained network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pathfuse.dense.recipe import DenseRecipe
from pathfuse.errors import InputError, clipped
from pathfuse.files.digests import digest_of
from pathfuse.files.json import read_object
from pathfuse.files.schema import Names, Stored, checked

KIND = "pathfuse.dense"
ABOUT = "model.json"


@dataclass(frozen=True)
class DenseModel:
    """What a folder says of its network."""

    encoder: str
    """Key of its card, or what it was loaded by."""
    encoder_digest: str
    """Of its weights and its normalisation before training."""
    n_classes: int
    class_names: tuple[str, ...]
    ignore: int
    recipe: DenseRecipe
    data: str
    """Digest of the images and masks trained on, by name and place."""

    def as_dict(self) -> dict[str, Any]:
        """For ``model.json``."""
        plain = {key: value for key, value in vars(self).items() if key != "recipe"}
        return {
            "kind": KIND,
            **plain,
            "class_names": list(self.class_names),
            "recipe": self.recipe.model_dump(),
        }

    @property
    def digest(self) -> str:
        """Of all that decides what is trained; device and workers do not."""
        content = self.as_dict()
        content["recipe"] = {
            k: v for k, v in content["recipe"].items() if k not in ("device", "workers")
        }
        return digest_of(content)


def read_about(folder: Path) -> DenseModel:
    """What a folder says of its network.

    Raises:
        InputError: It is not a folder of ``train_dense``.
    """
    content = read_object(folder / ABOUT)
    if content.get("kind") != KIND:
        raise InputError(
            f"{folder} holds no trained segmentation: its {ABOUT} is missing or damaged"
        )
    try:
        return checked(StoredDense, content).restored()
    except ValueError as error:
        raise InputError(f"{folder / ABOUT} is damaged: {clipped(error)}") from None


class StoredDense(Stored):
    """As ``DenseModel.as_dict`` writes it."""

    kind: str
    encoder: str
    encoder_digest: str
    n_classes: Annotated[int, Field(ge=2, le=255)]
    class_names: Names
    ignore: Annotated[int, Field(ge=2, le=255)]
    recipe: dict[str, Any]
    data: str

    def restored(self) -> DenseModel:
        """What it says.

        Raises:
            ValueError: Its parts do not fit one another.
        """
        if len(self.class_names) != self.n_classes or self.ignore < self.n_classes:
            raise ValueError("'n_classes', 'class_names' and 'ignore' do not fit one another")
        return DenseModel(
            self.encoder,
            self.encoder_digest,
            self.n_classes,
            tuple(self.class_names),
            self.ignore,
            DenseRecipe.of(**self.recipe),
            self.data,
        )
