"""The sections that stand on their own, in the order of the page."""

from pathfuse.report.sections import (
    calibration_detail,
    checklist,
    distributions,
    operating_points,
    utility,
)
from pathfuse.report.sections.base import Section

SECTIONS: tuple[Section, ...] = (
    operating_points.SECTION,
    utility.SECTION,
    distributions.SECTION,
    calibration_detail.SECTION,
    checklist.SECTION,
)
