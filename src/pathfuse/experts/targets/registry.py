"""The ways of being trained by name. A new one is one file and one line here."""

from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.targets.counts import CountsTargets
from pathfuse.experts.targets.gaussian_spread import GaussianSpreadTargets
from pathfuse.experts.targets.multiclass import MulticlassTargets
from pathfuse.experts.targets.multilabel import MultilabelTargets
from pathfuse.experts.targets.negative_binomial import NegativeBinomialTargets
from pathfuse.experts.targets.regression import RegressionTargets
from pathfuse.experts.targets.survival import SurvivalTargets

TARGET_KINDS: dict[str, TargetKind] = {
    kind.name: kind
    for kind in (
        MulticlassTargets(),
        MultilabelTargets(),
        SurvivalTargets(),
        RegressionTargets(),
        CountsTargets(),
        NegativeBinomialTargets(),
        GaussianSpreadTargets(),
    )
}


def target_kind(name: str, likelihood: str | None = None) -> TargetKind:
    """The way of being trained that an endpoint or a stored expert names.

    Args:
        name: Of ``TARGET_KINDS``.
        likelihood: Of the recipe; one that the kind does not know leaves it as it is.
    """
    kind = TARGET_KINDS[name]
    return kind if likelihood is None else TARGET_KINDS[kind.likelihoods.get(likelihood, name)]
