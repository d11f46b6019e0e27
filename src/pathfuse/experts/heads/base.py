"""What every trained head answers."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pathfuse.experts.inputs import Inputs
from pathfuse.experts.networks.linear_path import LinearPath
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.base import TargetKind


class HeadOutput(NamedTuple):
    """Outputs of a head for a packed batch."""

    outputs: Tensor
    """Float, (bag, output): logits, hazard logits, standardised targets, or logarithms of counts."""
    attention: Tensor | None
    """Float, (tile,), sums to 1 over each bag; None if the head has none."""
    inner: Any = None
    """What the head's own loss needs in addition."""


@dataclass(frozen=True)
class Packed:
    """The bags of a batch, one after the other."""

    features: Tensor
    """Float32, (tile, dim). NaN where an encoder lacks the tile, for heads that mask; 0 for the
    others."""
    index: Tensor
    """Int64, (tile,), ascending: the bag of each tile."""
    n_bags: int
    clusters: Tensor | None = None
    """Int64, (tile,): cluster of each tile within its bag, for heads that draw from clusters."""
    patients: Tensor | None = None
    """Int64, (bag,): equal for bags of one patient."""
    teachers: Tensor | None = None
    """Float32, (bag, sum of teacher lengths), NaN where a teacher is missing."""


@dataclass(frozen=True)
class Truths:
    """What is known of the bags of a batch."""

    way: TargetKind
    """The way of being trained."""
    values: Tensor
    known: Tensor
    """See ``Targets``."""
    weights: Tensor | None = None
    """Float, (bag, part), in training: see ``TargetKind.emphasised_loss``."""
    focal: float = 0.0
    """In training: exponent of focal loss."""

    def loss(self, outputs: Tensor) -> Tensor:
        """Float, (bag,): see ``TargetKind.loss`` and ``TargetKind.emphasised_loss``."""
        outputs, values, known = outputs.float(), self.values, self.known
        if self.weights is None and not self.focal:
            return self.way.loss(outputs, values, known)
        return self.way.emphasised_loss(outputs, values, known, self.weights, self.focal)


class Head(nn.Module):
    """A network on packed bags. A bag's outputs depend on its own tiles alone."""

    shared: nn.Parameter | None
    """Numbers that are the same for all samples, such as a dispersion per target; None: none."""
    offset: Tensor | None
    """Float, (output,): what rare outcomes that weighed more in training added to the outputs; None:
    nothing."""
    linear_path: LinearPath | None
    """A linear model whose outputs the network adds to; None: none."""

    def __init__(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        super().__init__()
        self.register_parameter("shared", None)
        self.register_buffer("offset", None)
        self.linear_path = None
        self.build(inputs, n_outputs, recipe)

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """Makes the layers.

        Args:
            inputs: Lengths of the feature vectors.
            n_outputs: Length of the output.
            recipe: Widths and dropout.
        """
        raise NotImplementedError

    def with_shared(self, outputs: Tensor) -> Tensor:
        """Outputs, followed by what all samples share: Float, (bag, output + shared)."""
        if self.shared is None:
            return outputs
        same = self.shared.to(outputs.dtype).expand(len(outputs), -1)
        return torch.cat([outputs, same], dim=1)

    def silence(self) -> None:
        """Sets what the network adds to the linear path to 0; a head that has the path does this."""

    def serving_state(self) -> dict[str, Tensor]:
        """The weights that prediction needs."""
        return self.state_dict()

    def forward_packed(self, packed: Packed) -> HeadOutput:
        """Reads a packed batch; heads that need more than the features override this."""
        output: HeadOutput = self(packed.features, packed.index, packed.n_bags)
        return output

    def loss(self, output: HeadOutput, packed: Packed, truths: Truths) -> Tensor:
        """Float, (bag,): what training minimises, that of the endpoint unless a head adds
        something.
        """
        return truths.loss(output.outputs)

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """Reads a packed batch.

        Args:
            features: Float, (tile, dim), the tiles of all bags, bag after bag.
            index: Int, (tile,), ascending: the bag of each tile.
            n_bags: How many bags there are.
        """
        raise NotImplementedError
