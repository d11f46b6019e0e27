"""Figures and counts as a reader sees them, and what a run may say of patients and of its positive
class.
"""

from collections.abc import Mapping
from typing import Any

NO_PATIENTS = "no patients were given, so intervals treat each as independent"


def number(value: float | None) -> str:
    """A figure with three decimals; an em dash where undefined."""
    return "—" if value is None else f"{value:.3f}".replace("-0.000", "0.000")


def signed(value: float) -> str:
    """A difference with its sign.

    Examples:
        >>> signed(0.02), signed(-0.5), signed(-0.0001)
        ('+0.020', '-0.500', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if text in ("+0.000", "-0.000") else text


def p_value(value: float | None) -> str:
    """A p-value in a table."""
    return "< 0.001" if value is not None and value < 0.001 else number(value)


def several(n: int, what: str) -> str:
    """A count with its noun."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def people(rows: Mapping[str, int], part: str) -> str:
    """How many samples of how many patients there are, and that no patients were given where that
    is so.

    Args:
        rows: ``rows`` of the manifest.
        part: ``fit`` or ``judged``.

    Examples:
        >>> people({"judged": 3000, "patients_judged": 3000, "judged_without_patient": 3000}, "judged")
        '3,000 samples; no patients were given, so intervals treat each as independent'
        >>> people({"judged": 30, "patients_judged": 10}, "judged")
        '30 samples of 10 patients'
    """
    return counted(rows, part) + caveat(rows, part)


def caveat(rows: Mapping[str, int], part: str) -> str:
    """That no patients were given, as the end of a sentence; empty where some were."""
    bare = rows.get(f"{part}_without_patient", 0)
    return f"; {NO_PATIENTS}" if bare and bare == rows[part] else ""


def counted(rows: Mapping[str, int], part: str) -> str:
    """The same, without mentioning independence.

    Examples:
        >>> counted({"fit": 30, "patients_fit": 12, "fit_without_patient": 2}, "fit")
        '30 samples of 10 patients and 2 without a patient, which stand for themselves'
    """
    n, bare = rows[part], rows.get(f"{part}_without_patient", 0)
    if bare == n:
        return several(n, "sample")
    named = f"{several(n, 'sample')} of {several(rows[f'patients_{part}'] - bare, 'patient')}"
    stand = "which stand for themselves" if bare > 1 else "which stands for itself"
    return f"{named} and {bare:,} without a patient, {stand}" if bare else named


def drawn(manifest: Mapping[str, Any]) -> str:
    """What the bootstrap drew: ``patient``, or ``sample`` where no patients were given."""
    return str(manifest.get("drawn", "patient"))


def positive_class(manifest: Mapping[str, Any]) -> str:
    """Which of two classes is the positive one, and why; empty where there are no two classes.

    Examples:
        >>> positive_class({"positive_class": {"name": "tumor", "chosen": False}})
        'positive class: tumor (second in alphabetical order; --positive chooses)'
    """
    found = manifest.get("positive_class")
    if found is None:
        return ""
    why = (
        "chosen with --positive"
        if found["chosen"]
        else "second in alphabetical order; --positive chooses"
    )
    return f"positive class: {found['name']} ({why})"
