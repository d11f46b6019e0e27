"""How to fuse segmentations: the options of ``dense fuse``, checked."""

from dataclasses import dataclass

from pathfuse.dense.evaluation.metrics import Parity
from pathfuse.dense.fusion.fused_model import BEST
from pathfuse.errors import InputError
from pathfuse.evaluation.rules import check_seed
from pathfuse.fusion.methods import methods_of

METHODS = ("static_product", "logitprod", "mean_probability", "best")
CHOOSE = "choose"
BESTS = ("best", BEST)
"""Names of the single model that is best on the fit images; it is always evaluated."""
REGISTERED = methods_of("multiclass")
FUSIONS = tuple(name for name in REGISTERED if name != BEST)


@dataclass(frozen=True)
class DenseFuseOptions:
    """How to fuse; part of the manifest."""

    methods: tuple[str, ...] = METHODS
    """Fitted and evaluated; ``best`` is there in any case, in tables as ``best_expert``."""
    method: str = CHOOSE
    """What ``fused`` is: one of the methods, or ``choose``: the fusion with the lowest held-out NLL
    of pixels."""
    pixels: int = 20_000
    """Fit pixels."""
    balance: float = 0.5
    """0: fit pixels of classes as frequent as they are; 1: equally many of each."""
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
        methods = tuple(name for name in dict.fromkeys(self.methods) if name not in BESTS)
        wrong = next(
            (name for name in (*methods, self.method) if name not in (*FUSIONS, CHOOSE)), None
        )
        if wrong is not None or CHOOSE in methods:
            raise InputError(
                f"method '{wrong or CHOOSE}' is not a fusion; choose among {', '.join(FUSIONS)}"
            )
        if self.method not in (CHOOSE, *methods):
            methods = (*methods, self.method)
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
        return DenseFuseOptions(**{**self.__dict__, "methods": methods})


DEFAULT = DenseFuseOptions()
