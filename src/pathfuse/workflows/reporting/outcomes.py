"""How often each outcome occurs in the judged rows."""

from typing import Any

from pathfuse.evaluation.judged import Judged
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart


def outcomes_part(run: JudgedRun) -> ReportPart:
    """``outcomes_judged`` of the manifest: by output, rows by outcome, or events and censored."""
    if run.study.endpoint.of_numbers:
        return ReportPart()
    counted = {name: _counted(run, judged) for name, judged in run.judged.items()}
    return ReportPart(manifest={"outcomes_judged": counted})


def _counted(run: JudgedRun, judged: Judged) -> dict[str, Any]:
    if judged.context is not None:
        events = int(judged.context.event.sum())
        return {"events": events, "censored": len(judged.observed) - events}
    names = run.study.endpoint.outcomes
    return dict(zip(names, judged.observed.sum(axis=0).astype(int).tolist(), strict=True))
