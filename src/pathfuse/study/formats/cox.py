"""Experts of survival that give one risk per patient: MCAT, PORPOISE, SurvPath, STAMP, Cox models."""

from dataclasses import replace

from pathfuse.endpoints.columns import RISK
from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Predicted
from pathfuse.study.reading import Reading

NAMES = (RISK, "pred_score", "risk_score", "risk_scores", "hazard", "log_hazard", "cox_score")
"""What the column is called; higher means earlier."""
HAZARDS = "hazard_"


def understand(table: Table, _reading: Reading) -> Predicted | None:
    """See ``Format``; a table with a hazard for each bin has no need of a risk."""
    header = table.frame.columns
    found = [name for name in header if name.lower() in NAMES]
    if not found or any(n.startswith(HAZARDS) for n in header):
        return None
    if any(name.startswith(("prob_", "logit_", "mean_")) for name in header):
        return None
    name = RISK if RISK in found else found[0]
    note = f"{table.source}: the column '{name}' is taken as a risk, higher means earlier"
    notes = (note,) if name != RISK else ()
    return Predicted(replace(table, frame=table.frame.rename({name: RISK})), notes)


COX = Format(
    "cox",
    "MCAT, PORPOISE, SurvPath, STAMP and Cox models: one risk per patient or slide (risk, pred_score, risk_score)",
    "docs/howto/survival.md",
    understand=understand,
)
