"""What a method says of itself: its settings, its fit along them, its pool and its weights."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from pathfuse.fusion.base import Fusion
from pathfuse.fusion.expert_table import E, Prediction, Truth
from pathfuse.fusion.layout import Layout, check_numbers
from pathfuse.fusion.presence import check_presence
from pathfuse.types import Params, Weights


class MethodBase(Fusion[E]):
    """What each method says of itself, and where its fit is kept.

    Attributes:
        params_: Fitted numbers by name.
        setting_: The chosen candidate.
        scores_: Mean held-out NLL of each candidate; empty if there was nothing to choose.
        presence_: What absent experts change (``fusion.presence``); empty: nothing.
    """

    in_council: ClassVar[bool] = True
    """Whether it votes in ``auto`` and may be what ``choose`` picks; where not, it is fitted and
    evaluated with them."""
    endpoints: ClassVar[tuple[str, ...]] = ()
    """The endpoints that it is for; none named: every one of its family."""
    fits: ClassVar[bool] = True
    """Whether the weights or the sharpness are fitted; where not, absent experts change nothing."""
    chooses: ClassVar[bool] = False
    """Whether it picks among the experts by their fit rows, with or without a fit."""
    open_end: ClassVar[bool] = True
    """Whether a setting beyond the last candidate would shrink less still."""
    params_: Params
    presence_: Params
    setting_: float
    scores_: dict[float, float]

    def layouts(self, n_experts: int, n_columns: int) -> tuple[Layout, ...]:
        """The fitted numbers and their shapes; several where options or versions differ."""
        return ({},)

    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """See ``Fusion``."""
        check_numbers(self.name, self.params_, self.layouts(n_experts, n_columns))
        check_presence(self.name, self.presence_, n_experts, self.family)

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Settings to choose among, strongest shrinkage first. One candidate: nothing to choose."""
        return (0.0,)

    def at_edge(self, n_samples: int) -> bool:
        """Whether the chosen setting is the one that shrinks least: an even weaker one might have
        been chosen.
        """
        candidates = self.candidates(n_samples)
        return self.open_end and len(candidates) > 1 and self.setting_ == candidates[-1]

    @abstractmethod
    def fit_path(self, experts: E, truth: Truth, settings: Sequence[float]) -> list[Params]:
        """Fits the method at each setting in turn, each warm-started from the one before."""

    def fit_last(self, experts: E, truth: Truth, path: Sequence[float]) -> Params:
        """Fits the method at the last setting of a path."""
        return self.fit_path(experts, truth, path)[-1]

    @abstractmethod
    def pool(self, experts: E, params: Params) -> Prediction:
        """The fused prediction with given parameters; a row depends on nothing but itself."""

    @abstractmethod
    def share(self, experts: E, params: Params) -> Weights:
        """The experts' weights in each sample."""

    def safeguards(self, experts: E, truth: Truth) -> Iterable[tuple[str, Params]]:
        """Parameters to fall back along, by name, if the certificate does not hold."""
        return ()
