"""The sections that stand on their own, in the order of the page."""

from pathfuse.report.sections import (
    calibration_detail,
    checklist,
    distributions,
    failures,
    operating_points,
    participants,
    subgroups,
    utility,
)
from pathfuse.report.sections.base import Section

SECTIONS: tuple[Section, ...] = (
    participants.SECTION,
    operating_points.SECTION,
    distributions.SECTION,
    utility.SECTION,
    calibration_detail.SECTION,
    failures.SECTION,
    subgroups.SECTION,
    checklist.SECTION,
)
