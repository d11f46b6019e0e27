"""Any table whose columns number the classes: ``prob_0``, ``logit_1``, ``score_2`` ..."""

from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Numbered, Predicted, numbered_columns
from pathfuse.study.reading import Reading

PROBABILITIES = ("prob_", "p_", "proba_", "probability_", "probs_", "class_", "score_", "pred_")
LOGITS = ("logit_", "logits_")
TRUTHS = ("Y", "y_true", "ground_truth", "gt", "true_label")
"""Names that a predicted class does not have."""


def understand(table: Table, reading: Reading) -> Predicted | None:
    """See ``Format``; columns that count from 1 may be called as classes, unless ``--classes`` says so."""
    header = table.frame.columns
    truth = next((name for name in TRUTHS if name in header), None)
    for prefix in (*PROBABILITIES, *LOGITS):
        kind = "logit_" if prefix in LOGITS else "prob_"
        columns = numbered_columns(header, f"{prefix}?([0-9]+)")
        if columns:
            return Predicted(table, (), Numbered(columns, kind, truth))
        columns = numbered_columns(header, f"{prefix}?([0-9]+)", 1) if reading.class_names else ()
        if columns:
            return Predicted(table, (), Numbered(columns, kind))
    return None


NUMBERS = Format(
    "numbers",
    "any table whose columns number the classes: prob_0, prob_1, ...; logit_0, logit_1, ...",
    "docs/reference/tables.md",
    understand=understand,
)
