"""The methods of segmentation by name, simple ones first. A new one is one file here and one line.

Every fusion of class probabilities is one, too: under its own name, or under that of the method
that wraps it, for which its own name is another.
"""

from typing import cast

from pathfuse.dense.fusion.methods.base import DenseMethod
from pathfuse.dense.fusion.methods.logistic import Logistic
from pathfuse.dense.fusion.methods.majority import Majority
from pathfuse.dense.fusion.methods.mean_logit import MeanLogit
from pathfuse.dense.fusion.methods.registered import Registered, wrapped
from pathfuse.dense.fusion.methods.staple import Staple
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.methods import methods_of

OWN: tuple[type[DenseMethod], ...] = (Majority, MeanLogit, Staple, Logistic)
OTHER_NAMES: dict[str, str] = {
    method.of.name: method.name for method in OWN if issubclass(method, Registered)
}
"""Of a fusion to the method that wraps it."""
METHODS: dict[str, type[DenseMethod]] = {method.name: method for method in OWN} | {
    name: wrapped(cast("type[CategoricalMethod]", kind))
    for name, kind in methods_of("multiclass").items()
    if not kind.chooses and name not in OTHER_NAMES
}
"""Each kind by its name; none that picks a single model, which is no fusion."""


def method_named(name: str) -> type[DenseMethod]:
    """The method of a name, or of another of its names.

    Raises:
        KeyError: There is none.
    """
    return METHODS[OTHER_NAMES.get(name, name)]
