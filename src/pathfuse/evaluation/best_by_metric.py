"""The best expert by one metric: a reference of that metric alone.

``best_expert`` is chosen by NLL on the fit rows. Another expert may be the best in AUROC or C-index
there, and a gain in these is fair only against that one. Where it is another, it stands as
``best_expert_<metric>``, and is compared in that metric and in no other.
"""

PREFIX = "best_expert_"


def is_by_metric(method: str) -> bool:
    """Whether a method is the best expert by one metric: a reference, without figures of its own."""
    return method.startswith(PREFIX)


def reference_name(metric: str) -> str:
    """What the best expert by a metric is called."""
    return PREFIX + metric


def has_metric(method: str, metric: str) -> bool:
    """Whether a method is judged by a metric: those chosen by one are judged by that one.

    Examples:
        >>> has_metric("best_expert", "nll"), has_metric("best_expert_auroc", "nll")
        (True, False)
        >>> has_metric("best_expert_auroc", "auroc")
        True
    """
    return not is_by_metric(method) or method == reference_name(metric)


def reference_for(metric: str, references: set[str]) -> str:
    """The best expert that a metric is held against, of the references that there are."""
    own = reference_name(metric)
    return own if own in references else "best_expert"
