"""Concatenation whose tokens are also trained to agree between the models.

See docs/design/meta-encoder.md, section 2.
"""

from typing import ClassVar

from pathfuse.experts.networks.meta_encoder.strategies.concat import Concat


class Contrastive(Concat):
    """As ``Concat``; training adds a multiple of ``contrast`` to the loss.

    It needs a learned projection.

    The paper's multiples, at temperature 0.5: 10 for proteins, 0.1 and 0.5 for spatial, 0.01 and
    0.1 for bulk expression.
    """

    contrasted: ClassVar[bool] = True
