"""The parts of a report, in the order in which they are made."""

from pathfuse.workflows.reporting.base import JudgedRun, MakePart, ReportPart
from pathfuse.workflows.reporting.calibration import calibration_part
from pathfuse.workflows.reporting.ceiling import ceiling_part
from pathfuse.workflows.reporting.distributions import distributions_part
from pathfuse.workflows.reporting.failures import failures_part
from pathfuse.workflows.reporting.operating_points import operating_points_part
from pathfuse.workflows.reporting.outcomes import outcomes_part
from pathfuse.workflows.reporting.participants import participants_part
from pathfuse.workflows.reporting.subgroups import subgroups_part
from pathfuse.workflows.reporting.utility import utility_part

PARTS: tuple[MakePart, ...] = (
    participants_part,
    outcomes_part,
    ceiling_part,
    operating_points_part,
    utility_part,
    calibration_part,
    distributions_part,
    subgroups_part,
    failures_part,
)


def report_parts(run: JudgedRun) -> ReportPart:
    """Everything that the parts add to a run."""
    whole = ReportPart()
    for make in PARTS:
        part = make(run)
        tables = {name: table for name, table in part.tables.items() if table.height}
        whole = ReportPart(
            whole.tables | tables,
            whole.manifest | part.manifest,
            (*whole.notes, *part.notes),
            (*whole.warnings, *part.warnings),
        )
    return whole
