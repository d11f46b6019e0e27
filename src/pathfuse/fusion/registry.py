"""Every fusion method by name: the rungs, the council over them, and the choice among them."""

from pathfuse.errors import InputError
from pathfuse.fusion.auto import Auto
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.choose import Choose
from pathfuse.fusion.gaussian.council import GAUSSIAN_RUNGS
from pathfuse.fusion.gaussian.rung import GaussianRung
from pathfuse.fusion.rung import Rung
from pathfuse.fusion.rungs import CATEGORICAL, rungs_of

METHODS: dict[str, type[Fusion]] = {
    **{rung.name: rung for rung in CATEGORICAL},
    Auto.name: Auto,
    Choose.name: Choose,
}


def methods_of(endpoint: str) -> dict[str, type[Rung] | type[GaussianRung]]:
    """The methods that are fitted and judged for an endpoint, by name, simple to rich."""
    if endpoint == "regression":
        return {name: type(rung) for name, rung in GAUSSIAN_RUNGS.items()}
    return dict(rungs_of(endpoint))


def described(name: str, endpoint: str) -> type[Fusion] | type[GaussianRung] | None:
    """The class that says what a method is and what it rests on; None for a name that no method has."""
    return {**METHODS, **methods_of(endpoint)}.get(name)


def method_class(name: str) -> type[Fusion]:
    """The class of a method.

    Raises:
        InputError: No method has this name.
    """
    if name not in METHODS:
        raise InputError(f"method '{name}' is unknown; choose one of {', '.join(METHODS)}")
    return METHODS[name]
