"""The single attention branch of CLAM (Lu et al. 2021), without its instance loss."""

from torch import nn

from pathfuse.experts.heads.abmil import GatedAttention
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


class ClamBranch(GatedAttention):
    """Gated attention with tanh and dropout on both branches.

    PyTorch's biases in the attention stay.

    Differs from ``abmil`` in width, activation and biases, all of which the recipe and ``build``
    state.
    """

    def build(self, inputs: Inputs, n_outputs: int, recipe: TrainingRecipe) -> None:
        """See ``Head``."""
        super().build(inputs, n_outputs, recipe)
        self.content = nn.Linear(recipe.hidden, recipe.attention)
        self.gate = nn.Linear(recipe.hidden, recipe.attention)
        self.score = nn.Linear(recipe.attention, 1)
        for layer in (self.content, self.gate, self.score):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
