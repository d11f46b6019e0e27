"""Every fusion method by name: the rungs, the council over them, and the choice among them."""

from pathfuse.errors import InputError
from pathfuse.fusion.auto import Auto
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.choose import Choose
from pathfuse.fusion.rungs import SURVIVAL_RUNGS

METHODS: dict[str, type[Fusion]] = {**SURVIVAL_RUNGS, Auto.name: Auto, Choose.name: Choose}


def method_class(name: str) -> type[Fusion]:
    """The class of a method.

    Raises:
        InputError: No method has this name.
    """
    if name not in METHODS:
        raise InputError(f"method '{name}' is unknown; choose one of {', '.join(METHODS)}")
    return METHODS[name]
