"""Every fusion by name: the methods, the council over them, and the choice among them."""

from typing import Any

from pathfuse.errors import InputError
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.choose import Choose
from pathfuse.fusion.family import AnyFamily
from pathfuse.fusion.gaussian.auto import GaussianAuto
from pathfuse.fusion.gaussian.choose import GaussianChoose
from pathfuse.fusion.methods import METHODS, family_of, methods_of

FUSIONS: tuple[type[Fusion[Any]], ...] = (*METHODS, Auto, Choose, GaussianAuto, GaussianChoose)


def fusions_of(family: AnyFamily) -> dict[str, type[Fusion[Any]]]:
    """The fusions of one family, by name."""
    return {fusion.name: fusion for fusion in FUSIONS if fusion.family is family}


def names_of(endpoint: str) -> list[str]:
    """What ``--method`` may be for an endpoint."""
    return [*methods_of(endpoint), Auto.name, Choose.name]


def all_names() -> list[str]:
    """What ``--method`` may be for any endpoint."""
    return list(dict.fromkeys(fusion.name for fusion in FUSIONS))


def described(name: str, endpoint: str) -> type[Fusion[Any]] | None:
    """The class that describes a fusion and its sources; None for an unknown name."""
    return fusions_of(family_of(endpoint)).get(name)


def fusion_class(name: str, family: AnyFamily) -> type[Fusion[Any]]:
    """The class of a fusion.

    Raises:
        InputError: None of the family has this name.
    """
    known = fusions_of(family)
    if name not in known:
        why = "is not for this endpoint" if name in all_names() else "is unknown"
        raise InputError(f"method '{name}' {why}; choose one of {', '.join(known)}")
    return known[name]
