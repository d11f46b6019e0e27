"""Every fusion method by name: the methods, the council over them, and the choice among them."""

from pathfuse.errors import InputError
from pathfuse.fusion.auto import Auto
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.choose import Choose
from pathfuse.fusion.gaussian.council import GAUSSIAN_METHODS
from pathfuse.fusion.gaussian.method import GaussianMethod
from pathfuse.fusion.method import Method
from pathfuse.fusion.methods import CATEGORICAL, categorical_methods

METHODS: dict[str, type[Fusion]] = {
    **{method.name: method for method in CATEGORICAL},
    Auto.name: Auto,
    Choose.name: Choose,
}


def methods_of(endpoint: str) -> dict[str, type[Method] | type[GaussianMethod]]:
    """The methods that are fitted and judged for an endpoint, by name, simple to rich."""
    if endpoint == "regression":
        return {name: type(method) for name, method in GAUSSIAN_METHODS.items()}
    return dict(categorical_methods(endpoint))


def described(name: str, endpoint: str) -> type[Fusion] | type[GaussianMethod] | None:
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
