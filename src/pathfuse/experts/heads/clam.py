"""CLAM with a single attention branch (Lu et al. 2021), and its loss of the most and least attended
tiles.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.experts.blocks import in_blocks
from pathfuse.experts.heads.attention_pool import GatedPooling
from pathfuse.experts.heads.base import HeadOutput, Packed, Truths
from pathfuse.experts.heads.recipes import ClamRecipe
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.segments import segment_softmax, segment_sum


class Attended(NamedTuple):
    """What the loss of the tiles looks at."""

    tiles: Tensor
    """Float, (tile, hidden), projected."""
    attention: Tensor
    """Float, (tile, branch)."""


class ClamSingleBranch(GatedPooling):
    """Gated attention with tanh and biases, and a classifier of tiles for each class.

    In training the ``instances`` most attended tiles of a bag are positive for the bag's class, as
    many least attended ones negative; the classifier of that class has to tell them apart. With
    ``subtyping`` the most attended tiles are negative for every other class, and the losses of the
    classes are averaged. The loss is ``bag_weight`` times the bag's plus the rest times that of the
    tiles. Bags of one tile, and all bags of an endpoint without one class per sample, have the
    endpoint's loss alone. Validation uses the endpoint's loss.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        self.recipe = recipe = cast("ClamRecipe", recipe)
        self.make_layers(inputs.dim, recipe, branches=self.branches(n_outputs), bias=True)
        self.decide = nn.Linear(recipe.hidden, n_outputs)
        self.instances = nn.Linear(recipe.hidden, 2 * n_outputs)
        self.xavier()

    def branches(self, n_outputs: int) -> int:
        """How many attention branches there are."""
        return 1

    def forward(self, features: Tensor, index: Tensor, n_bags: int) -> HeadOutput:
        """See ``Head``."""
        tiles = in_blocks(self.project, features)
        attention = segment_softmax(in_blocks(self.scores, tiles), index, n_bags)
        outputs = self.outputs(tiles, attention, index, n_bags)
        return HeadOutput(outputs, attention.mean(dim=1), Attended(tiles, attention))

    def outputs(self, tiles: Tensor, attention: Tensor, index: Tensor, n_bags: int) -> Tensor:
        """Float, (bag, output).

        Args:
            tiles: Float, (tile, hidden).
            attention: Float, (tile, branch).
            index: Int, (tile,), ascending: the bag of each tile.
            n_bags: How many bags there are.
        """
        decided: Tensor = self.decide(segment_sum(attention * tiles, index, n_bags))
        return decided

    def loss(self, output: HeadOutput, packed: Packed, truths: Truths) -> Tensor:
        """See ``Head`` and the class: the endpoint's loss and that of the tiles."""
        task, weight = truths.loss(output.outputs), self.recipe.bag_weight
        if not truths.way.one_class or weight == 1:
            return task
        sizes = torch.bincount(packed.index, minlength=packed.n_bags).tolist()
        tiles, attention = output.inner.tiles.split(sizes), output.inner.attention.split(sizes)
        label, certain = truths.values.argmax(dim=1), (truths.values > 0).sum(dim=1) == 1
        losses = []
        for bag, size in enumerate(sizes):
            if size > 1 and certain[bag]:
                of_tiles = self.loss_of_tiles(tiles[bag], attention[bag].detach(), int(label[bag]))
                losses.append(weight * task[bag] + (1 - weight) * of_tiles)
            else:
                losses.append(task[bag])
        return torch.stack(losses)

    def loss_of_tiles(self, tiles: Tensor, attention: Tensor, label: int) -> Tensor:
        """Mean loss of the classifiers of tiles over one bag.

        Args:
            tiles: Float, (tile, hidden), of the bag; two or more.
            attention: Float, (tile, branch), likewise.
            label: Class of the bag.

        Returns:
            Float, a scalar.
        """
        k = min(self.recipe.instances, len(tiles) // 2)
        n_outputs, branches = self.decide.out_features, attention.shape[1]
        branch_of = range(n_outputs) if branches == n_outputs else [0] * n_outputs
        own = attention[:, branch_of[label]]
        chosen = torch.cat([own.topk(k).indices, (-own).topk(k).indices])
        positive = torch.arange(2 * k, device=tiles.device) < k
        losses = [self._classified(tiles[chosen], label, positive.long())]
        if self.recipe.subtyping:
            nothing = torch.zeros(k, dtype=torch.int64, device=tiles.device)
            for other in range(n_outputs):
                if other != label:
                    top = attention[:, branch_of[other]].topk(k).indices
                    losses.append(self._classified(tiles[top], other, nothing))
        return torch.stack(losses).mean()

    def _classified(self, tiles: Tensor, of: int, truth: Tensor) -> Tensor:
        """Mean loss of the classifier of class ``of`` on some tiles, 1 if they show it and else 0."""
        rows = slice(2 * of, 2 * of + 2)
        logits = functional.linear(
            tiles.float(), self.instances.weight[rows], self.instances.bias[rows]
        )
        if self.recipe.instance_loss == "smooth_svm":
            logits = logits + 1 - functional.one_hot(truth, 2)
        return functional.cross_entropy(logits, truth)
