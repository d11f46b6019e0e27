"""All checks of a study."""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.workflows.checks.base import Alarm
from pathfuse.workflows.checks.evidence import Evidence
from pathfuse.workflows.checks.registry import CHECKS


def alarms_of(
    study: Study, parts: Sequence[Partition] | None = None, *, fitting: bool = False
) -> list[Alarm]:
    """What is wrong with a study, before anything is fitted.

    Args:
        study: As read.
        parts: Who is fitted on and who is judged; None: as its roles or folds say.
        fitting: Whether a fusion is fitted on the fit rows.
    """
    return alarms_in(Evidence.of(study, parts, fitting=fitting))


def alarms_in(evidence: Evidence) -> list[Alarm]:
    """The same of evidence that is there already."""
    # Small matrices: threads cost time.
    with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
        return [alarm for check in CHECKS for alarm in check.alarms(evidence)]
