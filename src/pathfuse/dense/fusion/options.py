"""How to fuse segmentations: the options of ``dense fuse``, checked."""

from dataclasses import dataclass

from pathfuse.dense.evaluation.metrics import Parity
from pathfuse.dense.fusion.fused_model import BEST, FUSED
from pathfuse.dense.fusion.methods.registry import METHODS as KNOWN
from pathfuse.dense.fusion.methods.registry import OTHER_NAMES
from pathfuse.errors import InputError
from pathfuse.evaluation.rules import check_seed

METHODS = (
    "majority",
    "mean_logit",
    "mean_probability",
    "staple",
    "static_product",
    "logitprod",
    "logistic",
    "best",
)
CHOOSE = "choose"
BESTS = ("best", BEST)
"""Names of the single model that is best on the fit images; it is always evaluated."""
FUSIONS = tuple(KNOWN)
RESERVED = (*KNOWN, *OTHER_NAMES, *BESTS, CHOOSE, FUSED)
"""Names that no model may have."""


@dataclass(frozen=True)
class DenseFuseOptions:
    """How to fuse; part of the manifest."""

    methods: tuple[str, ...] = METHODS
    """Fitted and evaluated; ``best`` is there in any case, in tables as ``best_expert``."""
    method: str = CHOOSE
    """What ``fused`` is: one of the methods, or ``choose``: the simplest fusion whose held-out Dice
    per image is within one standard error of the best one's."""
    pixels: int = 20_000
    """Fit pixels."""
    balance: float = 0.0
    """0: fit pixels of classes as frequent as they are; 1: equally many of each. It decides whose
    errors count how much where weights are fitted. What a method learns of how frequent classes are
    is brought back to the images' own frequencies, whatever the balance."""
    pool_px: int = 1
    """Side of the square over which the features of ``logitprod``'s gate are averaged; odd."""
    n_resamples: int = 1000
    seed: int = 0
    parity: Parity = "fixed"
    """Of the metrics."""

    def checked(self) -> "DenseFuseOptions":
        """The same with aliases resolved.

        Raises:
            InputError: A method is unknown, or a number out of range.
        """
        check_seed(self.seed)
        method, *methods = (OTHER_NAMES.get(name, name) for name in (self.method, *self.methods))
        methods = [name for name in dict.fromkeys(methods) if name not in BESTS]
        wrong = next((name for name in (*methods, method) if name not in (*FUSIONS, CHOOSE)), None)
        if wrong is not None or CHOOSE in methods:
            raise InputError(
                f"method '{wrong or CHOOSE}' is not a fusion; choose among {', '.join(FUSIONS)}"
            )
        if method not in (CHOOSE, *methods):
            methods.append(method)
        if not methods:
            raise InputError("there is nothing to fuse with: name a method besides best")
        for name, value, low, high in (
            ("pixels", self.pixels, 100, 10_000_000),
            ("balance", self.balance, 0, 1),
            ("pool_px", self.pool_px, 1, 999),
            ("resamples", self.n_resamples, 0, 1_000_000),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} {value:g} is out of range: {low} to {high}")
        if self.pool_px % 2 == 0:
            raise InputError(f"pool_px {self.pool_px} has no middle; give an odd number")
        return DenseFuseOptions(**{**self.__dict__, "methods": tuple(methods), "method": method})


DEFAULT = DenseFuseOptions()
