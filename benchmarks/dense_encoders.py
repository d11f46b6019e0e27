"""Three small vision transformers, briefly pre-trained on unlabelled training tiles: hidden pixels are predicted.

Half of the patches of a crop are replaced by the crop's mean colour; from the tokens, a linear layer predicts the
colours of all patches, and the hidden ones count. Masks of tissue are not read, and neither are validation and test
images. The linear layer is thrown away.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from benchmarks.feature_fusion import one_core
from pathfuse.dense.encoders.tiny import tiny_encoder

CROP, BATCH, STEPS, RATE, HIDDEN = 112, 16, 250, 1e-3, 0.5
"""112 is a multiple of the patches 8, 14 and 16."""


@dataclass(frozen=True)
class Small:
    """A small encoder."""

    patch: int
    registers: int
    dim: int
    depth: int = 4
    seed: int = 0

    def spec(self) -> dict[str, int]:
        """As in a grid file."""
        return dict(self.__dict__)


SMALL = {"vit8": Small(8, 0, 96, seed=1), "vit14": Small(14, 4, 144, seed=2), "vit16": Small(16, 8, 192, seed=3)}


def pretrain(name: str, splits: Sequence[Path], out: Path) -> Path:
    """Trains one encoder and writes its weights.

    Args:
        name: Key of ``SMALL``.
        splits: Split files; only their training images are read.
        out: The file to write.
    """
    small = SMALL[name]
    images = [image for split in splits for image in _train_images(split)]
    with one_core(), torch.random.fork_rng():
        torch.manual_seed(small.seed)
        rng = np.random.default_rng(small.seed)
        encoder = tiny_encoder(**small.spec()).train()
        encoder.requires_grad_(True)
        pixels = 3 * small.patch**2
        head = torch.nn.Linear(small.dim, pixels)
        parameters = [*encoder.parameters(), *head.parameters()]
        optimiser = torch.optim.AdamW(parameters, RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
        for _ in range(STEPS):
            crops = torch.stack([_crop(images[k], rng) for k in rng.integers(len(images), size=BATCH)])
            grid = CROP // small.patch
            hidden = torch.from_numpy(rng.random((BATCH, 1, grid, grid)) < HIDDEN)
            wide = hidden.repeat_interleave(small.patch, 2).repeat_interleave(small.patch, 3)
            seen = torch.where(wide, crops.mean(dim=(2, 3), keepdim=True), crops)
            said = head(encoder.tokens(seen).flatten(2).transpose(1, 2))
            truth = functional.unfold(crops, small.patch, stride=small.patch).transpose(1, 2)
            loss = ((said - truth) ** 2).mean(dim=2)[hidden.flatten(1)].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        save_file({key: value.contiguous() for key, value in encoder.trunk.state_dict().items()}, str(out))
    return out


def _train_images(split: Path) -> list[np.ndarray]:
    content = json.loads(split.read_text(encoding="utf-8"))
    return [np.asarray(Image.open(split.parent / one["image_path"])) for one in content["data"]["train"]]


def _crop(image: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Float32, (3, CROP, CROP) in [0, 1], turned and flipped at random."""
    y, x = (int(rng.integers(max(1, side - CROP + 1))) for side in image.shape[:2])
    crop = np.rot90(image[y : y + CROP, x : x + CROP], int(rng.integers(4)))
    if crop.shape[:2] != (CROP, CROP):
        crop = np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize((CROP, CROP)))
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return torch.from_numpy(crop.copy()).permute(2, 0, 1).float() / 255
